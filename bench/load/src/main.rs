//! load: bounded load and correctness checks for mail servers on this machine.
//! One JSON line per run on standard output; exit 0 when the run completed.
//!
//! It promises to talk to this machine only, to stop by itself, and that a message which it lists as acknowledged was
//! acknowledged. It starts and stops no server: `cargo xtask bench` and `cargo xtask torture` do that.
#![expect(clippy::disallowed_methods, reason = "the load comes from outside the house: it has no env")]
mod args;
mod big;
mod conn;
mod crew;
mod idle;
mod imap;
mod imap_read;
mod msg;
mod notify;
mod pop3;
mod send;
mod stats;
mod verify;

use std::time::Duration;

const HELP: &str = "load smtp|lmtp|pop3|imap|big|notify|idle|verify [--key value]...
common: --target PORT|127.0.0.1:PORT --users U --first-user 1 --login 'u{n}@bench.test' --addr 'u{n}@bench.test'
        --pass secret --conns N --timeout S (one operation) --limit S (the run) --label TEXT
        --cgroup DIR | --pids 1,2 | --names a,b (the server's processes) --disk vda --sync (sync before counting writes)
smtp, lmtp: --messages M --size BYTES --rcpts R --per-session N --no-pipelining --run NAME --acked FILE
            --drain-cmd CMD (prints 0 when nothing waits for delivery)
pop3: --passes P --dele          imap: --bodies 5 --appends 0
notify: --deliver PORT --lmtp --messages K (IDLE latency)      idle: --hold S --openers N (memory per idle connection)
big: --all (one mailbox that has grown, each command by itself)
verify: --acked FILE --pop3 PORT | --imap PORT";

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let args = match args::Args::parse(words) {
        Ok(a) if !matches!(command.as_str(), "" | "help" | "--help") => a,
        Ok(_) => return println!("{HELP}"),
        Err(e) => {
            eprintln!("load: {e}\n{HELP}");
            std::process::exit(2);
        }
    };
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut out = stats::Json::default();
    out.text("test", &command);
    if let Some(label) = args.get("label") {
        out.text("label", label);
    }
    // The run stops by itself; this is the backstop for the case that it does not.
    let limit = Duration::from_secs(args.num("limit", 300) + 60);
    let result = rt.block_on(async {
        let work = async {
            match command.as_str() {
                "smtp" => send::run(&args, false, &mut out).await,
                "lmtp" => send::run(&args, true, &mut out).await,
                "pop3" => pop3::run(&args, &mut out).await,
                "imap" => imap_read::run(&args, &mut out).await,
                "big" => big::run(&args, &mut out).await,
                "notify" => notify::run(&args, &mut out).await,
                "idle" => idle::run(&args, &mut out).await,
                "verify" => verify::run(&args, &mut out).await,
                other => Err(conn::bad(format!("no command '{other}'"))),
            }
        };
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(conn::bad("the run went over its limit")))
    });
    if let Err(e) = &result {
        out.text("failed", &e.to_string());
    }
    println!("{}", out.line());
    std::process::exit(i32::from(result.is_err()));
}
