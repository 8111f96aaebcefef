//! What operators see of a site that runs: metrics, statistics, forms and files of the log.

use anyhow::{Context as _, Result, ensure};
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, Service, Site, Wish};
use site::smtp::deliver;
use site::tools::{client, succeeded, until};
use std::net::TcpListener;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// A site with a port for its metrics, and that port.
fn watched() -> Result<(Site, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok((Wish::default().entry(&format!("/*/common/metricsPort: [{port}]")).start()?, port))
}

/// A page of the endpoint by curl, with the status and the type behind it; `None` where there is no curl.
fn page(port: u16, path: &str, options: &[&str]) -> Result<Option<String>> {
    let Some(mut curl) = client("curl") else { return Ok(None) };
    let address = format!("http://127.0.0.1:{port}{path}");
    curl.args(["-s", "-m", "10", "-w", "%{http_code} %{content_type}"]).args(options).arg(address);
    succeeded("curl", site::tools::output(curl)?).map(Some)
}

/// The value of a series.
fn value(page: &str, series: &str) -> Result<u64> {
    let found = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.with_context(|| format!("{series} is not there"))?.parse().with_context(|| series.to_owned())
}

#[test]
fn the_metrics_count_what_was_done_exactly() -> Result<()> {
    let (site, port) = watched()?;
    for _ in 0..3 {
        deliver(&site, ALICE, MESSAGE)?;
    }
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 3);
    pop.command("QUIT")?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 3);
    let mut wrong = site.connect(Service::Pop3)?;
    wrong.line()?;
    wrong.send_line(&format!("USER {}", ALICE.address))?;
    wrong.line()?;
    wrong.send_line("PASS wrong")?;
    ensure!(wrong.line()?.starts_with("-ERR"));
    if page(port, "/metrics", &[])?.is_none() {
        return Ok(());
    }
    // A session ends when its server has seen the end of the connection.
    until("only the open sessions are counted", || {
        let page = page(port, "/metrics", &[])?.context("curl is there")?;
        let open = |server| value(&page, &format!("intermail_sessions{{server=\"{server}\"}}"));
        Ok((open("mta")?, open("popserv")?, open("imapserv")?) == (0, 1, 1))
    })?;
    let page = page(port, "/metrics", &[])?.context("curl is there")?;
    ensure!(page.ends_with("\n200 text/plain; version=0.0.4; charset=utf-8"), "{page}");
    for (series, expected) in COUNTED {
        let found = value(&page, series)?;
        ensure!(found == *expected, "{series} is {found}, not {expected}\n{page}");
    }
    let syncs = value(&page, "intermail_shard_sync_seconds_count")?;
    ensure!(syncs > 0 && syncs <= value(&page, "intermail_shard_commits_total")?, "{page}");
    Ok(())
}

/// After three messages for Alice, one session of POP, a wrong password there, and a session of IMAP that goes on.
const COUNTED: &[(&str, u64)] = &[
    ("intermail_messages_received_total", 3),
    ("intermail_messages_refused_total", 0),
    ("intermail_recipients_total{fate=\"delivered\"}", 3),
    ("intermail_recipients_total{fate=\"bounced\"}", 0),
    ("intermail_logins_total{protocol=\"pop\",outcome=\"ok\"}", 1),
    ("intermail_logins_total{protocol=\"pop\",outcome=\"badPassword\"}", 1),
    ("intermail_logins_total{protocol=\"imap\",outcome=\"ok\"}", 1),
    ("intermail_connections_total{server=\"popserv\"}", 2),
    ("intermail_queue_items", 0),
    ("intermail_log_events_dropped_total{sink=\"file\"}", 0),
    ("intermail_operation_seconds_count{server=\"mss\",operation=\"message_deliver\"}", 3),
    ("intermail_operation_seconds_count{server=\"mta\",operation=\"accept\"}", 3),
    ("intermail_operation_seconds_count{server=\"popserv\",operation=\"login.authentication\"}", 2),
    ("intermail_operation_seconds_count{server=\"popserv\",operation=\"login.store\"}", 1),
    ("intermail_operation_seconds_count{server=\"imapserv\",operation=\"SELECT\"}", 1),
];

#[test]
fn the_metrics_are_one_page_on_the_loopback_address() -> Result<()> {
    let (_site, port) = watched()?;
    let Some(other) = page(port, "/", &[])? else { return Ok(()) };
    ensure!(other.starts_with("see /metrics\n404 "), "{other}");
    let post = page(port, "/metrics", &["-d", "x=1"])?.context("curl is there")?;
    ensure!(post.starts_with("GET only\n405 "), "{post}");
    // Addresses stand there in hexadecimal; the second word is ours.
    let end = format!(":{port:04X}");
    let listening = std::fs::read_to_string("/proc/net/tcp")?;
    let ours =
        listening.lines().filter_map(|line| line.split_whitespace().nth(1)).filter(|a| a.ends_with(&end));
    let ours: Vec<_> = ours.collect();
    ensure!(!ours.is_empty() && ours.iter().all(|address| address.starts_with("0100007F:")), "{ours:?}");
    Ok(())
}

#[test]
fn statistics_stand_in_the_file_of_each_server_also_those_of_the_last_minutes() -> Result<()> {
    let mut site = Wish::default().entry("/*/common/perfStatThresholds: [3600000]").start()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut pop = Pop3::login(&site, ALICE)?;
    pop.command("QUIT")?;
    site.stop()?;
    for (server, operation) in
        [("mta", "accept"), ("mss", "message_deliver"), ("popserv", "login.authentication")]
    {
        let text = std::fs::read_to_string(site.path().join(format!("log/{server}.stat")))?;
        let wanted = format!(" Note RunOperationStat operation={operation} count=1 mean_ms=");
        let line = text.lines().find(|line| line.contains(&wanted)).with_context(|| text.clone())?;
        ensure!(line.ends_with(" over=3600000:0"), "{line}");
    }
    Ok(())
}

#[test]
fn its_17117_each_login_says_how_long_the_directory_took_and_how_long_the_store() -> Result<()> {
    let site = Site::fresh()?;
    // A hash of argon2id takes some milliseconds on any machine; once checked, the password is known for a while.
    let mut pop = Pop3::login(&site, ALICE)?;
    pop.command("QUIT")?;
    drop(Imap::login(&site, ALICE)?);
    let ms = |line: &str, field: &str| -> Result<u64> {
        let value = line.split(' ').find_map(|word| word.strip_prefix(field));
        Ok(value.with_context(|| line.to_owned())?.parse()?)
    };
    let pop = site.event("PopSessionEnd")?;
    ensure!(ms(&pop, "authentication_ms=")? > 0, "{pop}");
    let imap = site.event("ImapSessionEnd")?;
    let (first, second) = (ms(&pop, "authentication_ms=")?, ms(&imap, "authentication_ms=")?);
    ensure!(second <= first && ms(&pop, "store_ms=")? < 60_000 && ms(&imap, "store_ms=")? < 60_000, "{imap}");
    Ok(())
}

#[test]
fn a_log_in_json_is_one_object_a_line_from_the_change_on() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    site.must(&["imconfcontrol", "-install", "-key", "/*/common/logFormat=json"])?;
    let received = || -> Result<Option<serde_json::Value>> {
        // The log is written a moment behind: at first there is no file.
        let text = std::fs::read_to_string(site.path().join("log/mta.log")).unwrap_or_default();
        let objects = text.lines().filter(|line| line.starts_with('{'));
        let mut values = objects.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        Ok(values.find(|value| value["event"] == "MtaMessageReceived"))
    };
    until("a line is an object", || {
        deliver(&site, ALICE, MESSAGE)?;
        Ok(received()?.is_some())
    })?;
    let value = received()?.context("it was there")?;
    ensure!(value["severity"] == "Note" && value["server"] == "mta", "{value}");
    ensure!(value["fields"]["recipients"] == 1 && value["fields"]["bytes"].is_u64(), "{value}");
    ensure!(value["fields"]["from"].is_string() && value["pid"] == site.pid().unwrap_or(0), "{value}");
    Ok(())
}

#[test]
fn files_of_the_log_are_put_aside_by_size_and_the_oldest_go() -> Result<()> {
    let entries = ["/*/common/maxLogSizeInKB: [2]", "/*/common/logFilesKept: [2]"];
    let site = entries.iter().fold(Wish::default(), |wish, entry| wish.entry(entry)).start()?;
    let folder = site.path().join("log");
    let aside = || -> Result<Vec<String>> {
        let names =
            std::fs::read_dir(&folder)?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("mta.log.")).collect();
        names.sort();
        Ok(names)
    };
    let mut first = None;
    until("the first that was put aside is gone again", || {
        deliver(&site, ALICE, MESSAGE)?;
        let now = aside()?;
        first = first.take().or_else(|| now.first().cloned());
        // One more for a moment: it is renamed before the oldest is removed.
        ensure!(now.len() <= 3, "{now:?}");
        Ok(first.as_ref().is_some_and(|first| !now.contains(first)))
    })?;
    for name in aside()? {
        let text = std::fs::read_to_string(folder.join(&name))?;
        ensure!(text.ends_with('\n') && text.lines().all(|line| line.contains(" mta[")), "{name}: {text}");
    }
    until("the plain name is written", || {
        deliver(&site, ALICE, MESSAGE)?;
        Ok(folder.join("mta.log").metadata().is_ok_and(|metadata| metadata.len() > 0))
    })
}

#[test]
fn a_summary_of_a_running_site_arrives_as_mail() -> Result<()> {
    let site = Site::fresh()?;
    let ini = format!("MailTo = {}\nPager = 1\n", ALICE.address);
    std::fs::write(site.path().join("config/imsysmon.ini"), ini)?;
    deliver(&site, ALICE, MESSAGE)?;
    site.event("MtaMessageDelivered")?;
    let run = site.command(&["imsysmon", "-mail"])?;
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let expected = format!("mailed to {}\n", ALICE.address);
    ensure!(said == expected, "{said}{}", String::from_utf8_lossy(&run.stderr));
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 2);
    let text = String::from_utf8(pop.lines("RETR 2")?)?;
    ensure!(text.contains("Subject: [imsysmon] "), "{text}");
    ensure!(text.contains("config/imsysmon.ini, line 2: nobody reads pager."), "{text}");
    let mta = text.lines().find(|line| line.starts_with("mta ")).with_context(|| text.clone())?;
    let notes = mta.split_whitespace().nth(1).and_then(|notes| notes.parse::<u64>().ok());
    ensure!(notes.is_some_and(|notes| notes >= 3), "{mta}");
    let answers = |line: &str| line.starts_with("popserv") && line.trim_end().ends_with("yes");
    ensure!(text.lines().any(answers), "{text}");
    Ok(())
}
