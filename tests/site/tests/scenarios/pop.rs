//! POP: locks, limits, ports, logins.

use anyhow::{Result, ensure};
use site::connection::Connection;
use site::pop3::Pop3;
use site::program::{ALICE, BOB, Service, Site, Wish, now};
use site::smtp::deliver;
use site::tools::until;
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// The answer to PASS, on a new connection.
fn login_answer(site: &Site) -> Result<String> {
    let mut connection = site.connect(Service::Pop3)?;
    connection.line()?;
    connection.send_line(&format!("USER {}", ALICE.address))?;
    connection.line()?;
    connection.send_line(&format!("PASS {}", ALICE.password))?;
    connection.line()
}

#[test]
fn its_13963_a_second_session_is_told_that_the_mailbox_is_in_use_even_if_it_is_empty() -> Result<()> {
    let site = Site::fresh()?;
    let mut first = Pop3::login(&site, ALICE)?;
    ensure!(first.count()? == 0);
    let answer = login_answer(&site)?;
    ensure!(answer.starts_with("-ERR [IN-USE]"), "{answer}");
    first.command("QUIT")?;
    ensure!(login_answer(&site)?.starts_with("+OK"), "the lock outlives its session");
    Ok(())
}

#[test]
fn its_24672_the_lock_goes_when_the_connection_breaks() -> Result<()> {
    let site = Site::fresh()?;
    let first = Pop3::login(&site, ALICE)?;
    drop(first);
    until("the lock is gone", || Ok(login_answer(&site)?.starts_with("+OK")))
}

#[test]
fn its_4550_the_first_message_of_an_empty_mailbox_is_visible_at_once() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut pop = Pop3::login(&site, ALICE)?;
    let listed = String::from_utf8(pop.lines("UIDL")?)?;
    ensure!(listed.lines().count() == 1 && listed.starts_with("1 "), "{listed}");
    let mut imap = site::imap::Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 1);
    Ok(())
}

#[test]
fn its_8800_messages_are_listed_in_the_order_of_their_arrival() -> Result<()> {
    let site = Site::fresh()?;
    for number in 1..=30 {
        deliver(&site, ALICE, format!("Subject: {number}\r\n\r\n{number}\r\n").as_bytes())?;
    }
    let mut pop = Pop3::login(&site, ALICE)?;
    for number in 1..=30 {
        let message = String::from_utf8(pop.lines(&format!("TOP {number} 0"))?)?;
        ensure!(message.contains(&format!("Subject: {number}\r\n")), "{number}: {message}");
    }
    Ok(())
}

/// Sends plain text to a port that speaks TLS; others must not notice.
fn plain_text_to(service: Service) -> Result<()> {
    let site = Site::fresh()?;
    for noise in [&b"USER alice\r\n"[..], b"\r\n", &[0x16, 3, 1, 0xFF, 0xFF], &[0; 4096]] {
        let mut connection = Connection::open(site.port(service))?;
        // The other side may close before it has read everything.
        let _ = connection.send(noise);
        drop(connection);
    }
    let mut connection = site.connect(service)?;
    ensure!(connection.line()?.starts_with("+OK"));
    Ok(())
}

#[test]
fn its_11489_plain_text_on_the_tls_port_harms_nobody() -> Result<()> {
    plain_text_to(Service::Pop3s)
}

#[test]
fn its_17499_a_client_may_go_away_at_any_point() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let dialogue = format!(
        "USER {}\r\nPASS {}\r\nLIST\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\n",
        ALICE.address, ALICE.password
    );
    for length in (0..dialogue.len()).step_by(3) {
        let mut connection = site.connect(Service::Pop3)?;
        connection.send(&dialogue.as_bytes()[..length])?;
        drop(connection);
    }
    until("the mailbox is free", || Ok(login_answer(&site)?.starts_with("+OK")))?;
    until("the message is there", || {
        Ok(Pop3::login(&site, ALICE).and_then(|mut p| p.count()).unwrap_or(0) == 1)
    })
}

#[test]
fn its_19368_one_session_too_many_is_told_so_and_logged() -> Result<()> {
    let site = Wish::default().entry("/*/popserv/maxSessions: [2]").start()?;
    let (mut one, mut two) = (site.connect(Service::Pop3)?, site.connect(Service::Pop3)?);
    ensure!(one.line()?.starts_with("+OK") && two.line()?.starts_with("+OK"));
    let mut three = site.connect(Service::Pop3)?;
    let answer = three.line_or_end()?;
    ensure!(answer.starts_with("-ERR"), "{answer}");
    let logged = site.event("PopMaxSessions")?;
    ensure!(logged.contains("Warn") && logged.contains("limit=2"), "{logged}");
    Ok(())
}

#[test]
fn its_18898_sessions_are_counted_exactly_whichever_way_they_end() -> Result<()> {
    let site = Wish::default().entry("/*/popserv/maxSessions: [3]").start()?;
    for round in 0..30 {
        let mut connection = site.connect(Service::Pop3)?;
        until("there is room", || {
            let mut attempt = site.connect(Service::Pop3)?;
            Ok(attempt.line_or_end()?.starts_with("+OK"))
        })?;
        match round % 3 {
            0 => connection.send_line("QUIT")?,
            1 => connection.send_line("USER alice")?,
            _ => {}
        }
    }
    let mut open = Vec::new();
    until("three sessions fit", || {
        open.clear();
        for _ in 0..3 {
            let mut connection = site.connect(Service::Pop3)?;
            if !connection.line_or_end()?.starts_with("+OK") {
                return Ok(false);
            }
            open.push(connection);
        }
        Ok(true)
    })
}

#[test]
fn its_19312_a_client_that_is_not_allowed_is_refused_and_logged() -> Result<()> {
    let site = Wish::default().entry("/*/popserv/allowedIPs: [192.0.2.0/24]").start()?;
    let mut connection = site.connect(Service::Pop3)?;
    let answer = connection.line_or_end()?;
    ensure!(answer.is_empty() || answer.starts_with("-ERR"), "{answer}");
    site.event("PopConnectionNotAllowed")?;
    ensure!(site.connect(Service::Imap)?.line()?.starts_with("* OK"), "IMAP has its own list");
    Ok(())
}

#[test]
fn its_20600_a_bare_login_name_gets_the_domain_of_the_address_that_was_reached() -> Result<()> {
    let wish = Wish::default()
        .account("carol@first.test", "one")
        .account("carol@second.test", "two")
        .entry("/*/popserv/loginDefaultDomainTable: [192.0.2.1=first.test][127.0.0.1=second.test][bad]");
    let site = wish.start()?;
    let mut connection = site.connect(Service::Pop3)?;
    connection.line()?;
    connection.send_line("USER carol")?;
    connection.line()?;
    connection.send_line("PASS two")?;
    let answer = connection.line()?;
    ensure!(answer.starts_with("+OK"), "{answer}");
    Ok(())
}

#[test]
fn its_11844_the_delay_of_a_wrong_password_holds_up_nobody_else() -> Result<()> {
    let site = Wish::default().entry("/*/common/badPasswordDelay: [5]").start()?;
    let mut guessing = site.connect(Service::Pop3)?;
    guessing.line()?;
    guessing.send_line(&format!("USER {}", ALICE.address))?;
    guessing.line()?;
    let begun = now();
    guessing.send_line("PASS wrong")?;
    let mut other = Pop3::login(&site, BOB)?;
    other.command("NOOP")?;
    ensure!(begun.elapsed() < Duration::from_secs(4), "another session waited {:?}", begun.elapsed());
    ensure!(guessing.line()?.starts_with("-ERR"));
    ensure!(begun.elapsed() >= Duration::from_secs(4), "nothing was delayed");
    Ok(())
}

#[test]
fn its_13010_after_a_bad_command_the_next_one_works() -> Result<()> {
    let site = Site::fresh()?;
    let mut pop = Pop3::login(&site, ALICE)?;
    for bad in ["RETR 1", "RETR 99999999999999999999", "TOP 1", "DELE x", "XYZZY", "UIDL 5", ""] {
        ensure!(pop.command(bad).is_err(), "{bad:?} was taken");
    }
    ensure!(pop.count()? == 0);
    Ok(())
}

#[test]
fn its_44797_an_idle_site_takes_no_processor_time() -> Result<()> {
    let site = Site::fresh()?;
    let _session = Pop3::login(&site, ALICE)?;
    let ticks = || -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", site.pid().unwrap_or(0)))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    };
    // The program settles first; then three seconds of nothing may cost a tenth of one at most.
    std::thread::sleep(Duration::from_secs(1));
    let before = ticks()?;
    std::thread::sleep(Duration::from_secs(3));
    let taken = ticks()? - before;
    ensure!(taken <= 10, "{taken} hundredths of a second");
    Ok(())
}
