//! MTA: banners, limits, relay, senders, sendmail.

use anyhow::{Result, ensure};
use site::pop3::Pop3;
use site::program::{ALICE, BOB, Service, Site, Wish};
use site::smtp::{Smtp, deliver};
use site::tools::until;

/// The messages of a mailbox, one after another.
fn mailbox(site: &Site, account: site::program::Account) -> Result<Vec<String>> {
    let mut pop = Pop3::login(site, account)?;
    let count = pop.count()?;
    (1..=count).map(|n| Ok(String::from_utf8_lossy(&pop.lines(&format!("RETR {n}"))?).into_owned())).collect()
}

#[test]
fn its_15301_the_greeting_names_the_configured_host() -> Result<()> {
    let site = Site::fresh()?;
    let greeting = site.connect(Service::Smtp)?.line()?;
    ensure!(greeting.starts_with("220 localhost "), "{greeting}");
    Ok(())
}

#[test]
fn its_23054_the_text_of_the_greeting_is_configured() -> Result<()> {
    let site = Wish::default().entry("/*/mta/banners: [at your service]").start()?;
    let greeting = site.connect(Service::Smtp)?.line()?;
    ensure!(greeting.contains("at your service"), "{greeting}");
    Ok(())
}

#[test]
fn its_21256_a_malformed_sender_is_refused_and_the_session_goes_on() -> Result<()> {
    let site = Site::fresh()?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    for bad in
        ["a@b", "<a@b", "<a b@c.test>", "<@>", "<a@b@c.test>", "", "<a@b.test> NOSUCH=1", "<a@-b-.test>"]
    {
        let reply = smtp.command(&format!("MAIL FROM:{bad}"))?;
        let refused = [500, 501, 550, 553, 555].contains(&reply.code);
        // Without brackets some clients are let through; then the transaction is reset.
        ensure!(refused || reply.code == 250, "{bad}: {reply:?}");
        smtp.must("RSET", 250)?;
    }
    smtp.deliver("a@remote.test", &[ALICE.address], b"Subject: x\r\n\r\nx\r\n")
}

#[test]
fn its_21551_a_percent_sign_in_an_address_is_only_a_character() -> Result<()> {
    let site = Wish::default().entry("/*/mta/relaySourcePolicy: [denyAll]").start()?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a%b@remote.test>", 250)?;
    let reply = smtp.command("RCPT TO:<victim%elsewhere.test@example.test>")?;
    ensure!(reply.code == 550, "{reply:?}");
    Ok(())
}

#[test]
fn its_15569_recipients_are_verified_with_their_aliases() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "CreateAlias", "alice", "example.test", "wonderland@example.test"])?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    smtp.must("RCPT TO:<wonderland@example.test>", 250)?;
    smtp.must("RCPT TO:<ALICE@EXAMPLE.TEST>", 250)?;
    ensure!(smtp.command("RCPT TO:<nobody@example.test>")?.code == 550);
    Ok(())
}

#[test]
fn its_11063_the_relay_policy_changes_without_a_restart() -> Result<()> {
    let site = Wish::default().entry("/*/mta/relaySourcePolicy: [denyAll]").start()?;
    let answer = || -> Result<u16> {
        let mut smtp = Smtp::connect(&site, Service::Smtp)?;
        smtp.must("MAIL FROM:<a@remote.test>", 250)?;
        Ok(smtp.command("RCPT TO:<b@elsewhere.test>")?.code)
    };
    ensure!(answer()? == 550);
    site.must(&["imconfcontrol", "-install", "-key", "/*/mta/relaySourcePolicy=allowAll"])?;
    ensure!(answer()? == 250, "not in force");
    site.must(&["imconfcontrol", "-install", "-key", "/*/mta/relaySourcePolicy=denyAll"])?;
    ensure!(answer()? == 550, "not taken back");
    Ok(())
}

#[test]
fn its_16151_the_largest_message_is_the_same_at_every_entrance() -> Result<()> {
    let site = Wish::default().entry("/*/mta/maxMessageSize: [100]").start()?;
    let fits = [&b"Subject: x\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(5_000)].concat();
    let surplus = [&fits[..], &b"0123456789abcdef\r\n".repeat(5_000)].concat();
    for service in [Service::Smtp, Service::Lmtp, Service::Submissions] {
        let mut smtp = Smtp::connect(&site, service)?;
        if service == Service::Submissions {
            smtp.login(ALICE)?;
        }
        let announced = smtp.extensions.iter().find(|e| e.starts_with("SIZE"));
        ensure!(announced.is_some_and(|e| e == "SIZE 102400"), "{service:?}: {announced:?}");
        let from = ALICE.address;
        ensure!(
            smtp.command(&format!("MAIL FROM:<{from}> SIZE={}", surplus.len()))?.code == 552,
            "{service:?}: SIZE"
        );
        let reply = smtp.send(from, &[BOB.address], &surplus)?;
        ensure!(reply.code == 552, "{service:?}: DATA: {reply:?}");
        smtp.must(&format!("MAIL FROM:<{from}>"), 250)?;
        smtp.must(&format!("RCPT TO:<{}>", BOB.address), 250)?;
        smtp.connection.send(format!("BDAT {}\r\n", surplus.len()).as_bytes())?;
        let _ = smtp.connection.send(&surplus);
        let reply = smtp.reply()?;
        ensure!(reply.code == 552, "{service:?}: BDAT: {reply:?}");
        drop(smtp);
        let mut smtp = Smtp::connect(&site, service)?;
        if service == Service::Submissions {
            smtp.login(ALICE)?;
        }
        smtp.deliver(from, &[BOB.address], &fits)?;
    }
    ensure!(Pop3::login(&site, BOB)?.count()? == 3);
    Ok(())
}

#[test]
fn its_17321_a_client_may_go_away_at_any_point() -> Result<()> {
    let site = Site::fresh()?;
    let dialogue = format!(
        "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<{}>\r\nDATA\r\nSubject: cut off\r\n\r\nx\r\n",
        ALICE.address
    );
    for length in (0..=dialogue.len()).step_by(2) {
        let mut connection = site.connect(Service::Smtp)?;
        connection.send(&dialogue.as_bytes()[..length])?;
        drop(connection);
    }
    deliver(&site, ALICE, b"Subject: whole\r\n\r\nx\r\n")?;
    let messages = mailbox(&site, ALICE)?;
    ensure!(messages.len() == 1 && messages[0].contains("whole"), "{messages:?}");
    Ok(())
}

#[test]
fn its_20248_broken_base64_passes_as_it_is() -> Result<()> {
    let site = Site::fresh()?;
    let message = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n====!!!!AAA\r\nA===B\r\n--b\r\n\r\nanother part\r\n--b--\r\n";
    deliver(&site, ALICE, message)?;
    let mut imap = site::imap::Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    site::corpus::same(message, &imap.fetch(1)?)?;
    let second = imap.must("FETCH 1 (BODY.PEEK[2])")?;
    let found = second
        .iter()
        .any(|u| u.text.contains("another part") || u.literals.iter().any(|l| l == b"another part"));
    ensure!(found, "{second:?}");
    Ok(())
}

#[test]
fn its_14990_sendmail_adds_the_fields_that_are_missing_and_no_others() -> Result<()> {
    let site = Site::fresh()?;
    site.must_reading(&["sendmail", "-f", BOB.address, ALICE.address], "Subject: bare\n\nbody\n")?;
    until("the message is there", || Ok(Pop3::login(&site, ALICE)?.count()? == 1))?;
    let message = mailbox(&site, ALICE)?.concat();
    for field in ["\r\nDate: ", "\r\nMessage-I", "\r\nFrom: "] {
        ensure!(
            message.to_ascii_lowercase().matches(&field.to_ascii_lowercase()).count() == 1,
            "{field:?} in {message}"
        );
    }
    let whole = "From: B <bob@example.test>\nTo: alice@example.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\n\
                 Message-ID: <mine@example.test>\nSubject: whole\n\nbody\n";
    site.must_reading(&["sendmail", "-t", "-oi", "-f", BOB.address], whole)?;
    until("the second is there", || Ok(Pop3::login(&site, ALICE)?.count()? == 2))?;
    let message = mailbox(&site, ALICE)?.pop().unwrap_or_default();
    ensure!(
        message.matches("Date: ").count() == 1 && message.contains("Message-ID: <mine@example.test>"),
        "{message}"
    );
    Ok(())
}

#[test]
fn its_15007_sendmail_answers_with_the_usual_exit_codes() -> Result<()> {
    let site = Site::fresh()?;
    let usage = site.command(&["sendmail", "--no-such-option"])?;
    ensure!(usage.status.code() == Some(64), "{usage:?}");
    let unknown = site.command(&["sendmail", "-f", BOB.address, "nobody@example.test"])?;
    ensure!(unknown.status.code() == Some(67), "{unknown:?}");
    Ok(())
}
