//! IMAP: what clients rely on.

use anyhow::{Context as _, Result, ensure};
use site::imap::{Imap, Untagged};
use site::program::{ALICE, Service, Site, Wish};
use site::smtp::deliver;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// Appends a message with these words (flags, date) before its literal, and returns the tagged answer.
fn append(imap: &mut Imap, folder: &str, words: &str, message: &[u8]) -> Result<String> {
    imap.connection.send_line(&format!("app APPEND {folder} {words}{{{}}}", message.len()))?;
    let go_on = imap.connection.line()?;
    ensure!(go_on.starts_with('+'), "{go_on}");
    imap.connection.send(message)?;
    imap.connection.send(b"\r\n")?;
    loop {
        let line = imap.connection.line()?;
        if let Some(answer) = line.strip_prefix("app ") {
            return Ok(answer.to_owned());
        }
    }
}

fn flags(imap: &mut Imap, number: usize) -> Result<String> {
    let answers = imap.must(&format!("FETCH {number} (FLAGS)"))?;
    let found = answers.into_iter().find(|u| u.text.contains("FLAGS (")).context("no FLAGS")?;
    Ok(found.text)
}

/// The number behind a word in the answers, such as UIDVALIDITY.
fn number_of(answers: &[Untagged], word: &str) -> Result<u64> {
    let digits = answers.iter().find_map(|u| u.text.split(word).nth(1)).context("the word is not there")?;
    let digits: String = digits.trim().chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

#[test]
fn its_8673_an_odd_flag_becomes_a_keyword_or_is_refused_and_harms_no_other() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    imap.must(r"STORE 1 FLAGS (\Flagged $Forwarded)")?;
    for odd in [r"\Bogus", r"\Recent", "a]b", "(", "\"quoted\"", "{3}", "\\"] {
        let (_, end) = imap.command(&format!("STORE 1 +FLAGS ({odd})"))?;
        ensure!(["OK", "NO", "BAD"].iter().any(|w| end.starts_with(w)), "{odd}: {end}");
        let now = flags(&mut imap, 1)?;
        ensure!(
            now.contains(r"\Flagged") && now.contains("$Forwarded") && !now.contains(r"\Deleted"),
            "{odd}: {now}"
        );
    }
    Ok(())
}

#[test]
fn its_18475_only_the_named_flags_are_added() -> Result<()> {
    let site = Site::fresh()?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(append(&mut imap, "INBOX", r"(\Seen $One) ", MESSAGE)?.starts_with("OK"));
    imap.select("INBOX")?;
    let before = flags(&mut imap, 1)?;
    ensure!(
        before.contains(r"\Seen") && before.contains("$One") && !before.contains(r"\Flagged"),
        "{before}"
    );
    imap.must(r"STORE 1 +FLAGS (\Flagged)")?;
    let after = flags(&mut imap, 1)?;
    for flag in [r"\Seen", "$One", r"\Flagged"] {
        ensure!(after.contains(flag), "{flag} is not in {after}");
    }
    ensure!(!after.contains(r"\Answered") && !after.contains(r"\Draft"), "{after}");
    Ok(())
}

#[test]
fn its_20090_a_mixed_set_of_flags_ends_as_it_was_asked_for() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    imap.must(r"STORE 1 FLAGS (\Seen \Draft)")?;
    imap.must(r"STORE 1 +FLAGS.SILENT (\Answered \Deleted)")?;
    imap.must(r"STORE 1 -FLAGS (\Seen \Deleted)")?;
    let now = flags(&mut imap, 1)?;
    ensure!(now.contains(r"\Draft") && now.contains(r"\Answered"), "{now}");
    ensure!(!now.contains(r"\Seen") && !now.contains(r"\Deleted"), "{now}");
    Ok(())
}

#[test]
fn its_12962_uidplus_names_the_uids_that_were_given() -> Result<()> {
    let site = Site::fresh()?;
    let mut imap = Imap::login(&site, ALICE)?;
    let answer = append(&mut imap, "INBOX", "", MESSAGE)?;
    ensure!(answer.starts_with("OK [APPENDUID "), "{answer}");
    imap.must("CREATE work")?;
    imap.select("INBOX")?;
    let (_, copied) = imap.command("UID COPY 1:* work")?;
    ensure!(copied.starts_with("OK [COPYUID "), "{copied}");
    append(&mut imap, "INBOX", "", MESSAGE)?;
    imap.must("NOOP")?;
    imap.must(r"STORE 1:2 +FLAGS.SILENT (\Deleted)")?;
    imap.must("UID EXPUNGE 1")?;
    let left = imap.must("UID SEARCH ALL")?;
    ensure!(left.iter().any(|u| u.text == "SEARCH 2"), "{left:?}");
    Ok(())
}

#[test]
fn its_14510_status_of_another_folder_keeps_the_selection() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.must("CREATE other")?;
    imap.select("INBOX")?;
    for _ in 0..20 {
        let status = imap.must("STATUS other (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")?;
        ensure!(status.iter().any(|u| u.text.contains("MESSAGES 0")), "{status:?}");
        imap.must("FETCH 1 (UID)")?;
    }
    Ok(())
}

#[test]
fn its_15668_append_takes_any_size_flags_date_and_folder() -> Result<()> {
    let site = Site::fresh()?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.must("CREATE \"a folder/below it\"")?;
    let large = [&b"Subject: large\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(60_000)].concat();
    let cases = [
        ("INBOX", "", MESSAGE),
        ("inbox", r"(\Seen \Draft) ", MESSAGE),
        ("\"a folder/below it\"", "\"17-Jul-1996 02:44:25 -0700\" ", MESSAGE),
        ("\"a folder/below it\"", r#"($Odd) " 1-Feb-2026 00:00:00 +1400" "#, &large),
        ("INBOX", "", b"no header at all"),
    ];
    for (folder, words, message) in cases {
        let answer = append(&mut imap, folder, words, message)?;
        ensure!(answer.starts_with("OK"), "{folder} {words}: {answer}");
    }
    let nowhere = append(&mut imap, "nowhere", "", MESSAGE);
    let refused = nowhere.unwrap_or_else(|before_the_literal| before_the_literal.to_string());
    ensure!(refused.contains("NO"), "a folder that is not there: {refused}");
    ensure!(imap.select("\"a folder/below it\"")? == 2);
    ensure!(imap.fetch(2)? == large);
    let date = imap.must("FETCH 1 (INTERNALDATE)")?;
    let kept = ["17-Jul-1996 02:44:25 -0700", "17-Jul-1996 09:44:25 +0000"];
    ensure!(date.iter().any(|u| kept.iter().any(|d| u.text.contains(d))), "{date:?}");
    Ok(())
}

#[test]
fn its_13916_a_renamed_folder_has_another_uidvalidity() -> Result<()> {
    let site = Site::fresh()?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.must("CREATE before")?;
    let before = number_of(&imap.must("STATUS before (UIDVALIDITY)")?, "UIDVALIDITY")?;
    imap.must("RENAME before after")?;
    let after = number_of(&imap.must("STATUS after (UIDVALIDITY)")?, "UIDVALIDITY")?;
    ensure!(before != after, "both are {before}");
    Ok(())
}

/// The BODYSTRUCTURE of a message, as a client sees it.
fn structure(message: &str) -> Result<String> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, message.as_bytes())?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    let answers = imap.must("FETCH 1 (BODYSTRUCTURE)")?;
    let found = answers.into_iter().find(|u| u.text.contains("BODYSTRUCTURE"));
    Ok(found.context("no BODYSTRUCTURE")?.text)
}

#[test]
fn its_17563_the_envelope_of_an_attached_message_is_in_the_structure() -> Result<()> {
    let text = structure(
        "Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n\
         From: Dora <dora@remote.test>\r\nSubject: inner\r\n\r\ntext\r\n",
    )?;
    for part in [
        "\"MESSAGE\" \"RFC822\"",
        "\"inner\"",
        "(\"Dora\" NIL \"dora\" \"remote.test\")",
        "\"TEXT\" \"PLAIN\"",
    ] {
        ensure!(text.to_ascii_uppercase().contains(&part.to_ascii_uppercase()), "{part} is not in {text}");
    }
    Ok(())
}

#[test]
fn its_23266_the_disposition_is_a_list_of_its_own() -> Result<()> {
    let text = structure(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n\
         --b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=\"a b.png\"\r\n\r\nx\r\n--b--\r\n",
    )?;
    let expected = "(\"attachment\" (\"filename\" \"a b.png\"))";
    ensure!(text.to_ascii_lowercase().contains(expected), "{expected} is not in {text}");
    Ok(())
}

#[test]
fn its_12993_an_empty_part_has_no_bytes() -> Result<()> {
    let text = structure(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\n\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\n--b--\r\n",
    )?;
    ensure!(text.to_ascii_uppercase().contains("\"IMAGE\" \"PNG\" NIL NIL NIL \"7BIT\" 0"), "{text}");
    Ok(())
}

#[test]
fn its_48389_empty_mime_fields_are_read_as_their_defaults() -> Result<()> {
    let text = structure(
        "Subject: x\r\nMIME-Version:\r\nContent-Type:\r\nContent-Transfer-Encoding:\r\nContent-Disposition:\r\n\r\nx\r\n",
    )?;
    ensure!(text.to_ascii_uppercase().contains("\"TEXT\" \"PLAIN\""), "{text}");
    Ok(())
}

#[test]
fn its_15697_every_command_gets_its_tagged_answer() -> Result<()> {
    let site = Site::fresh()?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    for command in [
        "FETCH 1 FLAGS",
        "FETCH",
        "FETCH 0 FLAGS",
        "STORE 1",
        "COPY 1 nowhere",
        "SEARCH",
        "SEARCH CHARSET x ALL",
        "UID",
        "UID XYZZY",
        "LIST",
        "LIST \"\" \"",
        "STATUS INBOX ()",
        "CREATE INBOX",
        "DELETE INBOX",
        "RENAME a b",
        "XYZZY",
        "SELECT nowhere",
        "NOOP",
        "APPEND",
        "IDLE x",
        "ENABLE",
        "SORT (X) UTF-8 ALL",
    ] {
        let (_, end) = imap.command(command)?;
        ensure!(["OK", "NO", "BAD"].iter().any(|w| end.starts_with(w)), "{command}: {end}");
    }
    ensure!(imap.select("INBOX")? == 0);
    Ok(())
}

#[test]
fn its_24880_what_a_client_does_is_never_fatal_in_the_log() -> Result<()> {
    let mut site = Wish::default().entry("/*/imapserv/maxSessions: [3]").start()?;
    for noise in
        [&b"\0\0\0\r\n"[..], b"a LOGIN x y\r\n", b"a STARTTLS\r\n\x16\x03", b"a LOGIN {99999999999}\r\n"]
    {
        let mut connection = site.connect(Service::Imap)?;
        connection.line_or_end()?;
        let _ = connection.send(noise);
    }
    let _ = site::connection::Connection::open(site.port(Service::Imaps))?.send(b"GET / HTTP/1.0\r\n\r\n");
    Imap::login(&site, ALICE)?.must("NOOP")?;
    site.never_said(&["Fatl", "Urgt"])
}
