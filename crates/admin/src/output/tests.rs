use super::*;
use crate::testing::Script;

const COLUMNS: &[Column] =
    &[Column { title: "Folder", key: "folder" }, Column { title: "Bytes", key: "bytes" }];

fn console(script: &Script, format: Format) -> Console {
    Console::new(Box::new(script.clone()), "imtest", format)
}

async fn listing(format: Format, layout: Layout, rows: u64) -> String {
    let script = Script::default();
    let mut console = console(&script, format);
    let mut listing = Listing::new(COLUMNS, layout);
    for n in 0..rows {
        listing.row(&mut console, [format!("f\u{1b}{n}").into(), (n * 1000).into()]).await.unwrap();
    }
    listing.end(&mut console).await.unwrap();
    console.flush().await.unwrap();
    script.output()
}

#[tokio::test]
async fn a_table_has_a_heading_and_no_control_characters() {
    assert_eq!(
        listing(Format::Text, Layout::Table, 2).await,
        "Folder  Bytes\nf?0         0\nf?1      1000\n"
    );
    assert_eq!(listing(Format::Text, Layout::Lines, 2).await, "f?0\t0\nf?1\t1000\n");
}

#[tokio::test]
async fn json_is_one_array_whatever_its_length() {
    for rows in [0, 1, 999, 1000, 1001, 2500] {
        let text = listing(Format::Json, Layout::Lines, rows).await;
        let value: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(value.len() as u64, rows);
        if rows > 0 {
            assert_eq!(value[0]["folder"], "f\u{1b}0");
        }
    }
}

#[tokio::test]
async fn lines_of_input_come_whole_however_they_are_cut() {
    let script = Script::with_input(["a", "b\r", "\n\nc", "d\ne"]);
    let mut console = console(&script, Format::Text);
    let mut lines = Vec::new();
    while let Some(line) = console.read_line().await.unwrap() {
        lines.push(line);
    }
    assert_eq!(lines, ["ab", "", "cd", "e"]);
    assert_eq!(console.read_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_line_of_input_has_a_limit() {
    let piece = "x".repeat(PIECE);
    let script = Script::with_input(vec![piece.as_str(); 17]);
    assert!(console(&script, Format::Text).read_line().await.unwrap_err().to_string().contains("1 MB"));
}

#[tokio::test]
async fn a_reader_that_is_gone_is_noticed() {
    let script = Script::default();
    script.close_after(PIECE);
    let mut console = console(&script, Format::Text);
    let text = [b'x'; 1024];
    let mut written = 0;
    while console.bytes(&text).await.is_ok() {
        written += text.len();
        assert!(written < 4 * PIECE);
    }
}
