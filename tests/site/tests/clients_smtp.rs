//! Mail programs of other people hand mail in: relay, submission, LMTP, and the way out again.

use anyhow::{Context as _, Result, ensure};
use site::pop3::Pop3;
use site::program::{ALICE, Account, BOB, Service, Site, Wish};
use site::smtp::Smtp;
use site::tools::{client, output, run, said, until};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

/// A message in a file, for clients that upload one.
fn message_file(site: &Site) -> Result<String> {
    let path = site.scratch().join("message");
    fs::write(&path, "From: <carol@remote.test>\r\nSubject: from a file\r\n\r\n.dot\r\nlast\r\n")?;
    Ok(path.display().to_string())
}

/// The only message of an account's mailbox.
fn only_message(site: &Site, account: Account) -> Result<String> {
    let mut pop = Pop3::login(site, account)?;
    let count = pop.count()?;
    ensure!(count == 1, "{count} messages where one was expected");
    Ok(String::from_utf8_lossy(&pop.lines("RETR 1")?).into_owned())
}

#[test]
fn curl_sends_over_smtp() -> Result<()> {
    let Some(mut curl) = client("curl") else { return Ok(()) };
    let site = Site::fresh()?;
    curl.args(["-sS", "-m", "60", "--mail-from", "carol@remote.test", "--mail-rcpt", ALICE.address]);
    curl.arg("-T").arg(message_file(&site)?);
    curl.arg(format!("smtp://127.0.0.1:{}/client.example.net", site.port(Service::Smtp)));
    run(curl)?;
    let message = only_message(&site, ALICE)?;
    ensure!(message.contains("Subject: from a file\r\n\r\n.dot\r\nlast\r\n"), "{message}");
    Ok(())
}

#[test]
fn curl_submits_with_starttls_and_with_tls_from_the_first_byte() -> Result<()> {
    for (scheme, service) in [("smtp", Service::Submission), ("smtps", Service::Submissions)] {
        let Some(mut curl) = client("curl") else { return Ok(()) };
        let site = Site::fresh()?;
        curl.args(["-sS", "-m", "60", "-k", "--ssl-reqd", "-u"]);
        curl.arg(format!("{}:{}", ALICE.address, ALICE.password));
        curl.args(["--mail-from", ALICE.address, "--mail-rcpt", BOB.address, "-T"]).arg(message_file(&site)?);
        curl.arg(format!("{scheme}://127.0.0.1:{}/client.example.net", site.port(service)));
        run(curl).with_context(|| format!("{service:?}"))?;
        only_message(&site, BOB)?;
    }
    Ok(())
}

/// swaks with the options that every test needs.
fn swaks(site: &Site, service: Service, words: &[&str]) -> Option<std::process::Command> {
    let mut swaks = client("swaks")?;
    let server = format!("127.0.0.1:{}", site.port(service));
    swaks.args(["--silent", "2", "--timeout", "60", "--server", &server]).args(words);
    Some(swaks)
}

#[test]
fn swaks_relays_to_several_recipients_with_pipelining_and_an_attachment() -> Result<()> {
    let site = Site::fresh()?;
    let blob = site.scratch().join("blob");
    fs::write(&blob, (0..300_000_u32).map(|n| ((n * 7919) >> 3) as u8).collect::<Vec<_>>())?;
    let to = format!("{},{}", ALICE.address, BOB.address);
    let attachment = format!("@{}", blob.display());
    let words = ["--pipeline", "--from", "carol@remote.test", "--to", &to, "--attach", &attachment];
    let Some(swaks) = swaks(&site, Service::Smtp, &words) else { return Ok(()) };
    run(swaks)?;
    let (first, second) = (only_message(&site, ALICE)?, only_message(&site, BOB)?);
    ensure!(
        first.len() > 400_000 && first.len().abs_diff(second.len()) < 200,
        "{} {}",
        first.len(),
        second.len()
    );
    Ok(())
}

#[test]
fn swaks_submits_with_every_password_mechanism() -> Result<()> {
    let site = Site::fresh()?;
    for mechanism in ["PLAIN", "LOGIN"] {
        let words =
            ["--tls", "--auth", mechanism, "--auth-user", ALICE.address, "--auth-password", ALICE.password];
        let words = [&words[..], &["--from", ALICE.address, "--to", BOB.address]].concat();
        let Some(swaks) = swaks(&site, Service::Submission, &words) else { return Ok(()) };
        run(swaks).context(mechanism)?;
    }
    ensure!(Pop3::login(&site, BOB)?.count()? == 2);
    Ok(())
}

#[test]
fn swaks_is_refused_without_a_login_or_with_a_wrong_one_on_submission() -> Result<()> {
    let site = Site::fresh()?;
    let words = ["--from", ALICE.address, "--to", BOB.address];
    let Some(without) = swaks(&site, Service::Submission, &words) else { return Ok(()) };
    let output_without = output(without)?;
    ensure!(output_without.status.code() == Some(23), "MAIL was not refused: {}", said(&output_without));
    let auth = ["--tls", "--auth", "PLAIN", "--auth-user", ALICE.address, "--auth-password", "guess"];
    let Some(wrong) = swaks(&site, Service::Submission, &[&auth[..], &words].concat()) else { return Ok(()) };
    let output_wrong = output(wrong)?;
    ensure!(output_wrong.status.code() == Some(28), "AUTH was not refused: {}", said(&output_wrong));
    ensure!(Pop3::login(&site, BOB)?.count()? == 0);
    Ok(())
}

#[test]
fn swaks_is_refused_a_foreign_domain_and_an_unknown_user_at_rcpt() -> Result<()> {
    let site = Wish::default().entry("/*/mta/relaySourcePolicy: [denyAll]").start()?;
    for to in ["nobody@elsewhere.test", "nobody@example.test"] {
        let Some(swaks) = swaks(&site, Service::Smtp, &["--from", "a@remote.test", "--to", to]) else {
            return Ok(());
        };
        let refused = output(swaks)?;
        ensure!(refused.status.code() == Some(24), "{to} was not refused at RCPT: {}", said(&refused));
    }
    Ok(())
}

#[test]
fn swaks_hands_in_by_lmtp() -> Result<()> {
    let site = Site::fresh()?;
    let words =
        ["--protocol", "LMTP", "--from", "a@remote.test", "--to", ALICE.address, "--body", "over lmtp"];
    let Some(swaks) = swaks(&site, Service::Lmtp, &words) else { return Ok(()) };
    run(swaks)?;
    let message = only_message(&site, ALICE)?;
    ensure!(message.contains("over lmtp"), "{message}");
    Ok(())
}

#[test]
fn smtp_source_sends_hundreds_of_messages_over_parallel_sessions() -> Result<()> {
    let site = Site::fresh()?;
    for (words, service, messages) in [
        (&["-s", "10", "-m", "300"][..], Service::Smtp, 300),
        (&["-L", "-s", "5", "-m", "50"], Service::Lmtp, 350),
    ] {
        let Some(mut source) = client("smtp-source") else { return Ok(()) };
        source.args(words).args(["-l", "4096", "-f", "load@remote.test", "-t", ALICE.address]);
        source.arg(format!("127.0.0.1:{}", site.port(service)));
        run(source)?;
        ensure!(Pop3::login(&site, ALICE)?.count()? == messages, "not {messages} messages");
    }
    Ok(())
}

/// A remote mail server that keeps what it gets, ended with the test.
struct Sink {
    process: Child,
    port: u16,
}

impl Sink {
    /// Dumps each message into a file of the folder; `words` say what it refuses.
    fn start(folder: &Path, port: u16, words: &[&str]) -> Result<Option<Self>> {
        let Some(mut sink) = client("smtp-sink") else { return Ok(None) };
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        if nix::unistd::Uid::effective().is_root() {
            sink.args(["-u", "nobody"]);
        }
        sink.args(words).arg("-d").arg(folder.join("mail.")).arg(format!("127.0.0.1:{port}")).arg("100");
        let process = sink.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let sink = Self { process, port };
        until("smtp-sink listens", || Ok(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()))?;
        Ok(Some(sink))
    }

    fn route(&self) -> String {
        format!("/*/mta/mailRoutingTable: [remote.test:127.0.0.1#{}]", self.port)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What a sink has kept.
fn kept(folder: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(folder)?.map(|e| Ok(fs::read(e?.path())?)).collect::<Result<Vec<_>>>()?;
    Ok(files.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect())
}

#[test]
fn a_message_for_elsewhere_leaves_through_the_queue() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(sink) = Sink::start(folder.path(), free_port()?, &[])? else { return Ok(()) };
    let site = Wish::default().entry(&sink.route()).start()?;
    let auth = ["--tls", "--auth", "PLAIN", "--auth-user", ALICE.address, "--auth-password", ALICE.password];
    let words = ["--from", ALICE.address, "--to", "dave@remote.test", "--body", "on its way\n.\nstill"];
    let Some(swaks) = swaks(&site, Service::Submission, &[&auth[..], &words].concat()) else { return Ok(()) };
    run(swaks)?;
    until("the remote server has the message", || {
        Ok(kept(folder.path())?.iter().any(|m| m.contains("on its way") && m.contains("still")))
    })?;
    let mail = kept(folder.path())?.concat();
    ensure!(mail.contains(&format!("X-Mail-Args: <{}>", ALICE.address)), "{mail}");
    ensure!(mail.contains("X-Rcpt-Args: <dave@remote.test>"), "{mail}");
    ensure!(mail.matches("Received:").count() >= 1, "{mail}");
    ensure!(Pop3::login(&site, ALICE)?.count()? == 0, "a message that arrived was bounced");
    Ok(())
}

#[test]
fn its_12756_a_message_that_is_refused_elsewhere_comes_back_as_a_report() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(sink) = Sink::start(folder.path(), free_port()?, &["-f", "rcpt"])? else { return Ok(()) };
    let site = Wish::default().entry(&sink.route()).start()?;
    let auth = ["--tls", "--auth", "PLAIN", "--auth-user", ALICE.address, "--auth-password", ALICE.password];
    let words = ["--from", ALICE.address, "--to", "dave@remote.test", "--header", "Subject: no luck"];
    let Some(swaks) = swaks(&site, Service::Submission, &[&auth[..], &words].concat()) else { return Ok(()) };
    run(swaks)?;
    until("the report is in the mailbox", || Ok(Pop3::login(&site, ALICE)?.count()? == 1))?;
    let report = only_message(&site, ALICE)?;
    for part in
        ["multipart/report", "message/delivery-status", "rfc822;", "dave@remote.test", "Action: failed"]
    {
        ensure!(report.to_ascii_lowercase().contains(&part.to_ascii_lowercase()), "no {part} in\n{report}");
    }
    ensure!(report.contains("Subject: no luck"), "the original is not quoted:\n{report}");
    Ok(())
}

#[test]
fn its_19111_a_message_waits_in_the_queue_over_a_crash_until_the_other_side_takes_it() -> Result<()> {
    let (refused, taken) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let port = free_port()?;
    let Some(refusing) = Sink::start(refused.path(), port, &["-r", "rcpt"])? else { return Ok(()) };
    // No wait between attempts but the shortest there is.
    let wish = Wish::default().entry(&refusing.route()).entry("/*/mta/retryIntervalsInMinutes: [0]");
    let mut site = wish.start()?;
    let mut smtp = Smtp::connect(&site, Service::Submission)?;
    smtp.login(ALICE)?;
    smtp.deliver(ALICE.address, &["dave@remote.test"], b"Subject: patience\r\n\r\nx\r\n")?;
    site.kill()?;
    drop(refusing);
    let Some(_taking) = Sink::start(taken.path(), port, &[])? else { return Ok(()) };
    site.start()?;
    until("the remote server has the message", || Ok(!kept(taken.path())?.is_empty()))?;
    ensure!(kept(taken.path())?.concat().contains("Subject: patience"));
    ensure!(Pop3::login(&site, ALICE)?.count()? == 0, "a message that arrived was bounced");
    Ok(())
}
