//! What an attacker or a broken program sends: each is refused or handled in the protocol's own terms, the
//! program lives, its memory stays, and another session beside it does not notice.

use anyhow::{Result, ensure};
use site::connection::Connection;
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, Account, BOB, Service, Site, Wish};
use site::smtp::Smtp;
use site::tools::until;

/// What the program's memory may grow by while somebody misbehaves, in KB.
const GROWTH_KB: u64 = 64 * 1024;

/// A site, a witness in it who is at work all the while, and what the program weighed before.
struct Scene {
    site: Site,
    witness: Imap,
    before_kb: u64,
}

impl Scene {
    fn new() -> Result<Self> {
        Self::of(Site::fresh()?)
    }

    fn of(site: Site) -> Result<Self> {
        let mut witness = Imap::login(&site, BOB)?;
        witness.select("INBOX")?;
        let before_kb = memory_kb(&site, "VmRSS:")?;
        Ok(Self { site, witness, before_kb })
    }

    /// The witness has noticed nothing, the program runs and has not grown.
    fn unharmed(mut self) -> Result<()> {
        self.witness.must("NOOP")?;
        site::smtp::deliver(&self.site, BOB, b"Subject: still here\r\n\r\nx\r\n")?;
        until("the witness sees new mail", || {
            Ok(self.witness.must("NOOP")?.iter().any(|u| u.text.ends_with(" EXISTS"))
                || self.witness.select("INBOX")? > 0)
        })?;
        let grown = memory_kb(&self.site, "VmHWM:")?.saturating_sub(self.before_kb);
        ensure!(grown < GROWTH_KB, "the program has grown by {grown} KB");
        self.site.stop().map(|_| ())
    }
}

/// A line of the program's memory: `VmRSS:` is resident now, `VmHWM:` was the most that ever was.
fn memory_kb(site: &Site, what: &str) -> Result<u64> {
    let Some(pid) = site.pid() else { anyhow::bail!("the site does not serve") };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(what)).unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Sends without end until the other side closes or the count is reached; an error of sending is the end.
fn flood(connection: &mut Connection, chunk: &[u8], chunks: usize) {
    for _ in 0..chunks {
        if connection.send(chunk).is_err() {
            return;
        }
    }
}

#[test]
fn a_line_without_end_is_refused_on_every_port() -> Result<()> {
    let scene = Scene::new()?;
    for service in Service::ALL {
        let mut connection = scene.site.connect(service)?;
        connection.line()?;
        flood(&mut connection, &[b'A'; 65_536], 512);
        // Refused with a line, or cut off; in any case not waited for.
        let _ = connection.send(b"\r\n");
        let said = connection.line_or_end()?;
        let refusal = ["500", "421", "-ERR", "* BAD", "* BYE"].iter().any(|r| said.starts_with(r));
        ensure!(said.is_empty() || refusal, "{service:?} answers {said:?}");
    }
    scene.unharmed()
}

#[test]
fn a_text_line_without_end_within_a_message_is_refused_or_kept_whole() -> Result<()> {
    let scene = Scene::new()?;
    let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
    let mut message = b"Subject: long\r\n\r\n".to_vec();
    message.resize(message.len() + 8_000_000, b'x');
    message.extend_from_slice(b"\r\n");
    let reply = smtp.send("a@remote.test", &[ALICE.address], &message)?;
    if reply.code == 250 {
        let came = Pop3::login(&scene.site, ALICE)?.lines("RETR 1")?;
        site::corpus::same(&message, &came)?;
    } else {
        ensure!((500..600).contains(&reply.code), "{reply:?}");
    }
    drop(smtp);
    scene.unharmed()
}

#[test]
fn a_literal_of_four_gigabytes_is_refused_before_it_is_sent() -> Result<()> {
    let scene = Scene::new()?;
    let mut imap = Imap::login(&scene.site, ALICE)?;
    for size in ["4294967296", "4294967295", "99999999999999999999"] {
        imap.connection.send_line(&format!("x1 APPEND INBOX {{{size}}}"))?;
        let line = imap.connection.line()?;
        let refused = line.starts_with("x1 NO") || line.starts_with("x1 BAD") || line.starts_with("* BAD");
        ensure!(refused, "a literal of {size} is answered {line}");
    }
    imap.must("NOOP")?;
    imap.connection.send_line("x2 LOGIN {4294967295}")?;
    let line = imap.connection.line()?;
    ensure!(!line.starts_with('+'), "{line}");
    drop(imap);

    // Not waiting for the answer, with LITERAL+: what follows must not be taken for commands.
    let mut imap = Imap::login(&scene.site, ALICE)?;
    imap.connection.send(b"x3 APPEND INBOX {4294967295+}\r\nx4 DELETE INBOX\r\n")?;
    let said = imap.connection.line_or_end()?;
    ensure!(!said.contains("x4 OK"), "{said}");
    drop(imap);

    let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
    ensure!(smtp.command("MAIL FROM:<a@remote.test> SIZE=4294967296")?.code == 552);
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    smtp.must(&format!("RCPT TO:<{}>", ALICE.address), 250)?;
    let reply = smtp.command("BDAT 99999999999999999999")?;
    ensure!((500..600).contains(&reply.code), "{reply:?}");
    drop(smtp);
    scene.unharmed()
}

#[test]
fn ten_thousand_recipients_are_counted_and_the_surplus_put_off() -> Result<()> {
    let scene = Scene::of(Wish::default().entry("/*/mta/maxRecipients: [1000]").start()?)?;
    let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    let (mut taken, mut put_off) = (0, 0);
    for _ in 0..100 {
        let commands = format!("RCPT TO:<{}>\r\n", ALICE.address).repeat(100);
        smtp.connection.send(commands.as_bytes())?;
        for _ in 0..100 {
            let reply = smtp.reply()?;
            match reply.code {
                250 => taken += 1,
                452 => put_off += 1,
                _ => anyhow::bail!("{reply:?}"),
            }
        }
    }
    ensure!(taken <= 1_000 && taken + put_off == 10_000, "{taken} taken, {put_off} put off");
    smtp.must("DATA", 354)?;
    smtp.connection.send(b"Subject: once\r\n\r\nx\r\n.\r\n")?;
    smtp.expect(250)?;
    ensure!(Pop3::login(&scene.site, ALICE)?.count()? == 1, "one recipient, named often, has one copy");
    drop(smtp);
    scene.unharmed()
}

/// Sends a message that is odd but legal enough; where it is taken, it must come back whole and IMAP must
/// answer what is asked of it.
fn odd_message(name: &str, message: &[u8]) -> Result<()> {
    let scene = Scene::new()?;
    let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
    let reply = smtp.send("a@remote.test", &[ALICE.address], message)?;
    if reply.code == 250 {
        let mut imap = Imap::login(&scene.site, ALICE)?;
        ensure!(imap.select("INBOX")? == 1);
        site::corpus::same(message, &imap.fetch(1)?)?;
        for item in
            ["ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[HEADER]", "BODY.PEEK[1.1.1.1]", "BODY.PEEK[1.MIME]"]
        {
            let (_, end) = imap.command(&format!("FETCH 1 ({item})"))?;
            ensure!(end.starts_with("OK") || end.starts_with("NO"), "{name}: FETCH {item}: {end}");
        }
        let (_, end) = imap.command("SEARCH HEADER X-Odd 7 SUBJECT x")?;
        ensure!(end.starts_with("OK"), "{name}: SEARCH: {end}");
        let listed = Pop3::login(&scene.site, ALICE)?.lines("TOP 1 0")?;
        ensure!(!listed.is_empty(), "{name}");
    } else {
        ensure!((500..600).contains(&reply.code), "{name}: {reply:?}");
    }
    drop(smtp);
    scene.unharmed()
}

#[test]
fn its_10700_a_hundred_thousand_headers() -> Result<()> {
    let headers: String = (0..100_000).map(|n| format!("X-Odd: {n}\r\n")).collect();
    odd_message("headers", format!("{headers}Subject: x\r\n\r\nbody\r\n").as_bytes())
}

#[test]
fn one_header_of_a_hundred_thousand_lines() -> Result<()> {
    let folded = "\tand more of it\r\n".repeat(100_000);
    odd_message("folding", format!("Subject: x\r\n{folded}\r\nbody\r\n").as_bytes())
}

#[test]
fn its_17565_mime_nested_ten_thousand_deep() -> Result<()> {
    let mut message = String::from("Subject: x\r\nMIME-Version: 1.0\r\n");
    for level in 0..10_000 {
        message.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
    }
    message.push_str("Content-Type: text/plain\r\n\r\nat last\r\n");
    odd_message("multipart", message.as_bytes())?;
    let attached = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    odd_message(
        "message/rfc822",
        format!("Subject: x\r\nMIME-Version: 1.0\r\n{attached}\r\nx\r\n").as_bytes(),
    )
}

#[test]
fn a_hundred_thousand_parts() -> Result<()> {
    let parts = "--b\r\n\r\nx\r\n".repeat(100_000);
    let head = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    odd_message("parts", format!("{head}{parts}--b--\r\n").as_bytes())
}

#[test]
fn an_address_list_of_a_megabyte() -> Result<()> {
    let addresses = "((a)<a@b.test>,\"".repeat(70_000);
    odd_message("addresses", format!("Subject: x\r\nTo: {addresses}\r\n\r\nbody\r\n").as_bytes())
}

#[test]
fn a_bare_line_feed_or_carriage_return_ends_neither_a_message_nor_a_command() -> Result<()> {
    let scene = Scene::new()?;
    let smuggled = "MAIL FROM:<b@remote.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n";
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"] {
        let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
        smtp.must("MAIL FROM:<a@remote.test>", 250)?;
        smtp.must(&format!("RCPT TO:<{}>", ALICE.address), 250)?;
        smtp.must("DATA", 354)?;
        smtp.connection.send(format!("Subject: x\r\n\r\nx{end}{smuggled}QUIT\r\n\r\n.\r\n").as_bytes())?;
        // One message, refused or with all of it inside; never two.
        let reply = smtp.reply()?;
        ensure!([250, 500, 501, 550, 554, 521, 421].contains(&reply.code), "{end:?}: {reply:?}");
    }
    let mut bob = Pop3::login(&scene.site, BOB)?;
    ensure!(bob.count()? == 0, "a message was smuggled");
    bob.command("QUIT")?;
    scene.unharmed()
}

#[test]
fn nul_and_control_characters_in_commands_are_refused() -> Result<()> {
    let scene = Scene::new()?;
    let mut smtp = Smtp::connect(&scene.site, Service::Smtp)?;
    for line in [
        "MAIL FROM:<a\0@remote.test>",
        "MAIL FROM:<a\r@remote.test>",
        "MAIL\0",
        "\0\0\0",
        "MAIL FROM:<\x1b[2J@x>",
    ] {
        let reply = smtp.command(line)?;
        ensure!((500..600).contains(&reply.code), "{line:?}: {reply:?}");
    }
    let mut pop = scene.site.connect(Service::Pop3)?;
    pop.line()?;
    for line in ["USER a\0b", "\0", "USER a\rb"] {
        pop.send_line(line)?;
        let answer = pop.line()?;
        ensure!(answer.starts_with("-ERR"), "{line:?}: {answer}");
    }
    let mut imap = scene.site.connect(Service::Imap)?;
    imap.line()?;
    for line in ["x1 LOGIN a\0b c", "\0", "x2 LOGIN a\rb c"] {
        imap.send_line(line)?;
        let answer = imap.line()?;
        ensure!(answer.contains(" BAD") || answer.contains(" NO"), "{line:?}: {answer}");
    }
    drop((smtp, pop, imap));
    scene.unharmed()
}

#[test]
fn parentheses_and_lists_without_end_do_not_nest_without_end() -> Result<()> {
    let scene = Scene::new()?;
    let mut imap = Imap::login(&scene.site, ALICE)?;
    imap.select("INBOX")?;
    let deep = format!("SEARCH {}ALL{}", "(".repeat(7_000), ")".repeat(7_000));
    let not = format!("SEARCH {}ALL", "NOT ".repeat(2_000));
    let or = format!("SEARCH {}ALL", "OR ALL ".repeat(1_000));
    let set = format!("FETCH {} FLAGS", vec!["1:*"; 1_900].join(","));
    for command in [deep, not, or, set] {
        let (_, end) = imap.command(&command)?;
        ensure!(["OK", "NO", "BAD"].iter().any(|w| end.starts_with(w)), "{end}");
    }
    drop(imap);
    scene.unharmed()
}

#[test]
fn a_login_that_guesses_is_slowed_and_ended() -> Result<()> {
    let scene = Scene::of(Wish::default().entry("/*/common/badPasswordDelay: [0]").start()?)?;
    let wrong = Account { address: ALICE.address, password: "guess" };
    let mut pop = scene.site.connect(Service::Pop3)?;
    pop.line()?;
    let mut refused = 0;
    for _ in 0..1_000 {
        let pair = format!("USER {}\r\nPASS {}\r\n", wrong.address, wrong.password);
        if pop.send(pair.as_bytes()).is_err() || pop.line().is_err() {
            break;
        }
        match pop.line() {
            Ok(answer) => ensure!(answer.starts_with("-ERR"), "{answer}"),
            Err(_) => break,
        }
        refused += 1;
    }
    ensure!(refused < 1_000, "one connection may guess a thousand times");
    scene.unharmed()
}

#[test]
fn a_message_of_fifty_megabytes_passes_without_being_held_in_memory() -> Result<()> {
    let scene = Scene::of(Wish::default().entry("/*/mta/maxMessageSize: [61440]").start()?)?;
    let line = format!("{}\r\n", "0123456789".repeat(7));
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < 50 << 20 {
        message.extend_from_slice(line.as_bytes());
    }
    site::smtp::deliver(&scene.site, ALICE, &message)?;
    let peak = memory_kb(&scene.site, "VmHWM:")?.saturating_sub(scene.before_kb);
    ensure!(peak < GROWTH_KB, "the program has grown by {peak} KB");
    let mut imap = Imap::login(&scene.site, ALICE)?;
    ensure!(imap.select("INBOX")? == 1);
    site::corpus::same(&message, &imap.fetch(1)?)?;
    let came = Pop3::login(&scene.site, ALICE)?.lines("RETR 1")?;
    site::corpus::same(&message, &came)?;
    drop(imap);
    scene.unharmed()
}
