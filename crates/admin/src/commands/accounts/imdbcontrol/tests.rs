//! The command over a real directory.

use crate::arguments::{self, Asked};
use crate::command::Exit;
use crate::connect;
use crate::context::Roles;
use crate::testing::Script;
use crate::testing::roles::Double;
use directory::DirectoryServer;
use env::Env;
use mail::id::{RequestId, TraceId};
use mail::secret::Secret;
use roles::Call;
use roles::directory::{Directory as _, Login, Origin, Proof, Protocol, Transport};
use std::sync::Arc;
use testkit::memory_store::MemoryStore;

const SEED: &str = "ca testman venus 432234 testman testman clear software.com A S default";

struct Site {
    _folder: tempfile::TempDir,
    directory: DirectoryServer,
    store: Arc<MemoryStore>,
}

/// What a run said and how it ended.
struct Run {
    exit: Exit,
    output: String,
    errors: String,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.db");
        let directory = DirectoryServer::open(Env::for_test("imdircacheserv"), &file).await.unwrap();
        Self { _folder: folder, directory, store: Arc::default() }
    }

    fn roles(&self) -> Roles {
        let directory = Arc::new(self.directory.clone());
        let store = Arc::clone(&self.store);
        Roles { provisioning: directory.clone(), directory, store, ..Double::default().roles() }
    }

    async fn run_with(&self, line: &[&str], input: &[&str]) -> Run {
        let line: Vec<String> = line.iter().map(ToString::to_string).collect();
        let script = Script::with_input(input.iter().copied());
        let Ok(Asked::Run(arguments)) = arguments::read(&super::COMMAND, &line) else { panic!("{line:?}") };
        let terminal = Box::new(script.clone());
        let exit = connect::run(&super::COMMAND, arguments, None, Some(self.roles()), terminal).await;
        Run { exit, output: script.output(), errors: script.errors() }
    }

    async fn run(&self, line: &str) -> Run {
        self.run_with(&line.split(' ').collect::<Vec<_>>(), &[]).await
    }

    async fn ok(&self, line: &str) -> String {
        let run = self.run(line).await;
        assert_eq!((run.exit, run.errors.as_str()), (Exit::OK, ""), "{line}");
        run.output
    }

    /// The error of a line that must fail.
    async fn fails(&self, line: &str) -> String {
        let run = self.run(line).await;
        assert_ne!(run.exit, Exit::OK, "{line}");
        assert_eq!(run.output, "");
        assert!(!run.errors.contains("Internal Error"), "{}", run.errors);
        run.errors
    }

    async fn logs_in(&self, name: &str, password: &str) -> bool {
        let local = [127, 0, 0, 1].into();
        let origin = Origin { protocol: Protocol::Imap, transport: Transport::Tls, peer: local, local };
        let login = Login { name: name.into(), proof: Proof::Password(Secret::new(password)), origin };
        let call = Call::new(RequestId(1), TraceId::new("t"));
        self.directory.authenticate(&call, login).await.is_ok()
    }
}

#[tokio::test]
async fn its_26002_the_seed_line_alone_makes_an_account_that_logs_in() {
    let site = Site::new().await;
    let created = "created: testman@software.com id=1 mailbox=432234 host=venus domain=software.com\n";
    assert_eq!(site.ok(SEED).await, created);
    assert!(site.logs_in("testman", "testman").await);
    assert!(site.logs_in("testman@software.com", "testman").await);
    assert!(!site.logs_in("testman", "clear").await);
    let again = site.fails(SEED).await;
    assert_eq!(
        again,
        "imdbcontrol: CreateAccount: the login name testman@software.com is taken by testman@software.com\n"
    );
}

#[tokio::test]
async fn the_seed_lines_on_classes_work_in_any_case() {
    let site = Site::new().await;
    site.ok(SEED).await;
    assert!(site.ok("CCA pref_imapsslaccess A S").await.starts_with("nothing to do: "));
    assert_eq!(site.ok("setcosattribute DEFAULT pref_imapsslaccess none").await, "done\n");
    assert!(!site.logs_in("testman", "testman").await);
    let gac = site.ok("gac testman software.com").await;
    assert!(gac.contains("attribute: pref_imapsslaccess=none source=cos\n"), "{gac}");
    let gone = site.fails("SetServiceLevel testman software.com gold").await;
    assert!(gone.contains("SetAccountCos"), "{gone}");
}

/// Every sub-command once, in an order in which each can succeed, with what it prints.
const EVERY: &[(&str, &str)] = &[
    ("cd a.test", "done"),
    ("CreateDomain mx.test relay mail.far.test:2525", "done"),
    ("chd mx.test relay mail.far.test", "done"),
    ("ld", "domain: a.test kind=local\ndomain: mx.test kind=relay target=mail.far.test:25"),
    ("dd mx.test", "done"),
    ("cc Gold", "done"),
    ("cca colour A S red", "done"),
    ("sca gold colour blue", "done"),
    ("lcn", "cos: default numusers=0\ncos: Gold numusers=0"),
    ("ca bob - - bob secret clear a.test A S gold", "created: bob@a.test id=1 mailbox=1 host=localhost"),
    ("la a.test", "account: bob@a.test status=A cos=Gold mailbox=1 host=localhost"),
    ("1a", "account: bob@a.test status=A cos=Gold mailbox=1 host=localhost"),
    ("sac bob a.test colour green", "done"),
    ("uac bob a.test colour", "done"),
    ("cal bob a.test robert", "done"),
    ("cal bob a.test o'neil&sons@a.test", "done"),
    ("dal bob a.test o'neil&sons", "done"),
    ("cla bob a.test rob", "done"),
    ("lal bob a.test", "Address: bob@a.test\nAlias: robert@a.test\nLoginAlias: rob@a.test"),
    ("dla bob a.test rob", "done"),
    ("crf bob a.test Bob@far.test", "done"),
    ("clf bob a.test postmaster", "done"),
    ("ef bob a.test off", "done"),
    ("lf bob a.test", "Forwarding: off\nRemoteForward: Bob@far.test\nLocalForward: postmaster@a.test"),
    ("dlf bob a.test postmaster", "done"),
    ("drf bob a.test bob@far.test", "done"),
    ("sar bob a.test Away", "autoreply: bob@a.test Away"),
    ("gar bob a.test", "autoreply: bob@a.test Away"),
    ("uar bob a.test", "autoreply: bob@a.test none"),
    ("sp bob a.test other", "done"),
    ("sas bob a.test S", "done"),
    ("ma bob a.test cos default", "done"),
    ("ma bob a.test host venus", "done"),
    ("gfm 1", "change: 2 "),
    ("uca gold colour", "done"),
    ("dca colour confirm", "done"),
    ("dc gold", "done"),
    ("lca", "attribute: pref_popaccess rule=A type=S default=all"),
    ("sc default", "cos: default numusers=1\nattribute: pref_popaccess=all source=default"),
    (
        "gaf bob a.test",
        "Account: bob@a.test\nId: 1\nMailbox: 1\nHost: venus\nStatus: S\nType: S\nCos: default\nPassword: argon2id\nAddress: bob@a.test\nAlias: robert@a.test\nForwarding: off\n",
    ),
    ("gac bob a.test", "Account: bob@a.test\nCos: default\nattribute: pref_popaccess=all source=default"),
    ("da bob a.test", "done"),
    ("la a.test", ""),
    ("help ca", "CreateAccount (ca) LOGIN HOST"),
];

#[tokio::test]
async fn its_13370_its_13376_every_sub_command_does_its_work() {
    let site = Site::new().await;
    for &(line, expected) in EVERY {
        let output = site.ok(line).await;
        let whole = output.strip_suffix('\n').unwrap_or(&output);
        assert!(
            whole == expected || whole.starts_with(expected) && whole.len() > expected.len(),
            "{line}: {output}"
        );
        assert!(!output.lines().any(str::is_empty), "{line}: {output}");
        let json = site.run(&format!("--json {line}")).await;
        let last = json.output.lines().last().unwrap_or("null");
        let value: Result<serde_json::Value, _> =
            serde_json::from_str(if json.exit == Exit::OK { &json.output } else { "null" });
        assert!(value.is_ok(), "{line}: {last}");
    }
    let used: std::collections::BTreeSet<_> = EVERY
        .iter()
        .filter_map(|(line, _)| super::table::find(line.split(' ').next().unwrap()))
        .map(|sub| sub.name)
        .collect();
    let unused: Vec<_> =
        super::table::SUBS.iter().filter(|s| !used.contains(s.name)).map(|s| s.name).collect();
    assert_eq!(unused, ["SetServiceLevel"]);
}

#[tokio::test]
async fn failures_name_the_thing_the_cause_and_the_way_out() {
    let site = Site::new().await;
    site.ok(SEED).await;
    let cases = [
        (
            "ca x - - x p clear software.com A S gold",
            "there is no class of service \"gold\": create it first (CreateCos)",
        ),
        ("ca x - 432234 x p clear software.com", "the mailbox 432234 belongs to testman@software.com"),
        (
            "ca x - - testman p clear software.com",
            "the address testman@software.com belongs to testman@software.com",
        ),
        ("gaf nobody software.com", "there is no account nobody@software.com: see ListAccounts software.com"),
        ("dc default", "cannot be deleted"),
        ("dd software.com", "testman and perhaps others have names in software.com: delete them first"),
        ("dca pref_popaccess confirm", "is built in: set a value instead"),
        ("sca default quotathreshold 101", "expected a number from 0 to 100"),
        ("ca x", "CreateAccount takes LOGIN HOST"),
        ("imdbmake", "there is no sub-command imdbmake: imdbcontrol help lists them all"),
        ("drf testman software.com a@b.test", "has no such forward"),
    ];
    for (line, reason) in cases {
        let said = match line {
            "imdbmake" => super::unknown("imdbmake"),
            line => site.fails(line).await,
        };
        assert!(said.contains(reason), "{line}: {said}");
    }
    assert_eq!(site.run("ca x").await.exit, Exit::USAGE);
    assert_eq!(site.run("dc default").await.exit, Exit::FAILED);
}

#[tokio::test]
async fn its_16125_and_16167_a_batch_gives_a_line_each_and_fails_as_a_whole() {
    let site = Site::new().await;
    let input = [
        "# accounts\n\ncd a.test\nca bob - - bob 'se cret' clear a.",
        "test\nca bob - - bob x clear a.test\r\nnonsense 1\nca \"open\nla a.test\ngaf bob a.test\n",
        "da bob a.test",
    ];
    let run = site.run_with(&["-"], &input).await;
    let lines: Vec<_> = run.output.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "3: ok CreateDomain: done",
            "4: ok CreateAccount: created: bob@a.test id=1 mailbox=1 host=localhost",
            "5: failed CreateAccount: the login name bob@a.test is taken by bob@a.test",
            "6: failed nonsense: there is no sub-command nonsense: imdbcontrol help lists them all",
            "7: failed -: a quote is not closed",
        ]
    );
    assert_eq!(
        lines[5..7],
        ["account: bob@a.test status=A cos=default mailbox=1 host=localhost", "8: ok ListAccounts: 1 lines"]
    );
    assert_eq!(lines.last(), Some(&"10: ok DeleteAccount: done"));
    assert_eq!(run.errors, "imdbcontrol: 8 commands, 5 done, 3 failed\n");
    assert_eq!(run.exit, Exit::FAILED);
    let good = site.run_with(&["-"], &["cd b.test\nld\n"]).await;
    assert_eq!((good.exit, good.errors.as_str()), (Exit::OK, "imdbcontrol: 2 commands, 2 done, 0 failed\n"));
    let none = site.run_with(&["-"], &[]).await;
    assert_eq!((none.exit, none.output.as_str()), (Exit::OK, ""));
}

#[tokio::test]
async fn a_batch_in_json_is_one_object_a_line() {
    let site = Site::new().await;
    let run = site.run_with(&["--json", "-"], &["cd a.test\nbogus\nld\ngfm 0\n"]).await;
    let values: Vec<serde_json::Value> =
        run.output.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let numbers: Vec<_> =
        values.iter().map(|v| (v["line"].as_u64().unwrap(), v["ok"].as_bool().unwrap())).collect();
    assert_eq!(numbers, [(1, true), (2, false), (3, true), (3, true), (4, true)]);
    assert_eq!(values[2]["result"][0]["domain"], "a.test");
    assert_eq!((&values[2]["more"], &values[3]["more"]), (&true.into(), &false.into()));
}

#[tokio::test]
async fn lists_go_out_page_by_page() {
    let site = Site::new().await;
    let many: String = (0..1500).map(|n| format!("cd d{n:04}.test\n")).collect();
    let input: Vec<&str> = many.as_bytes().chunks(60_000).map(|c| std::str::from_utf8(c).unwrap()).collect();
    assert_eq!(site.run_with(&["-"], &input).await.exit, Exit::OK);
    assert_eq!(site.ok("ld").await.lines().count(), 1500);
    let json: serde_json::Value = serde_json::from_str(&site.ok("--json ld").await).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1500);
    assert_eq!(json[1499]["domain"], "d1499.test");
}

#[tokio::test]
async fn a_hash_of_impwdhash_is_taken_with_its_type() {
    let site = Site::new().await;
    for kind in ["argon2id", "ssha", "unix", "md5"] {
        let hash = crate::testing::run(&format!("impwdhash {kind}")).with_input(["secret\n"]).done().await;
        let hash = hash.output().trim().to_owned();
        site.ok(&format!("ca {kind} - - {kind} {hash} {kind} a.test")).await;
        assert!(site.logs_in(&format!("{kind}@a.test"), "secret").await, "{kind}");
    }
}

#[test]
fn a_file_is_told_from_a_sub_command() {
    let file = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        super::batch_file(&words).map(str::to_owned)
    };
    assert_eq!(file(&["/tmp/accounts"]).as_deref(), Some("/tmp/accounts"));
    assert_eq!((file(&["-"]), file(&["LD"]), file(&["x", "y"]), file(&[])), (None, None, None, None));
}

struct Opens(Roles);

impl connect::Opener for Opens {
    fn open<'a>(&'a self, _: &'a crate::site::Site) -> connect::Opening<'a> {
        let opened = connect::Opened { roles: self.0.clone(), close: Box::pin(std::future::ready(())) };
        Box::pin(std::future::ready(Ok(opened)))
    }
}

#[tokio::test]
async fn a_file_is_read_where_the_command_was_started() {
    let site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts");
    std::fs::write(&file, format!("# two\n{SEED}\nla software.com\n")).unwrap();
    let run = async |name: &std::path::Path| {
        let line = ["--site".into(), folder.path().into(), name.into()];
        let script = Script::default();
        let opener = Opens(site.roles());
        let exit = connect::start("imdbcontrol", line.into(), &opener, Box::new(script.clone())).await;
        (exit, script.output(), script.errors())
    };
    let (exit, output, errors) = run(&file).await;
    assert_eq!((exit, errors.as_str()), (Exit::OK, "imdbcontrol: 2 commands, 2 done, 0 failed\n"));
    assert!(output.starts_with("2: ok CreateAccount: created: testman@software.com"), "{output}");
    assert!(output.ends_with("3: ok ListAccounts: 1 lines\n"), "{output}");
    let (exit, _, errors) = run(&folder.path().join("missing")).await;
    assert_eq!(exit, Exit::FAILED);
    assert!(errors.contains("neither a sub-command nor a file that can be read"), "{errors}");
}

#[tokio::test]
async fn its_18258_an_autoreply_is_read_back_as_it_was_stored() {
    let site = Site::new().await;
    site.ok(SEED).await;
    assert_eq!(site.ok("gar testman software.com").await, "autoreply: testman@software.com none\n");
    let text = r"I am away.\nBack on Monday."; // two lines
    let said = site.run_with(&["SetAutoReply", "testman", "software.com", text], &[]).await;
    assert_eq!((said.exit, said.errors.as_str()), (Exit::OK, ""));
    let again = site.ok("gar testman software.com").await;
    assert_eq!(again, format!("autoreply: testman@software.com \"{}\"\n", text.replace('\\', "\\\\")));
    let value: serde_json::Value =
        serde_json::from_str(&site.ok("--json gar testman software.com").await).unwrap();
    assert_eq!(value["autoreply"], "I am away.\r\nBack on Monday.\r\n");
    assert!(site.ok("uar testman software.com").await.ends_with("none\n"));
    let empty = site.run_with(&["sar", "testman", "software.com", " "], &[]).await;
    assert_eq!(empty.exit, Exit::USAGE);
    let long = "x".repeat((32 << 10) + 1);
    let refused = site.run_with(&["sar", "testman", "software.com", &long], &[]).await;
    assert!(refused.exit == Exit::FAILED && refused.errors.contains("too large"), "{}", refused.errors);
}
