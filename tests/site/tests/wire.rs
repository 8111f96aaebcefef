//! The servers themselves, each asked directly and through the wire: both keep what the role promises.

use anyhow::{Context as _, Result};
use control::configuration::{ConfigurationServer, Files};
use directory::DirectoryServer;
use env::Env;
use mail::address::{Address, Domain};
use mail::id::{HostName, RequestId, TraceId};
use mail::secret::Secret;
use queue::Queue;
use roles::Call;
use roles::directory::provision::{NewAccount, NewPassword, Provisioning as _, Request};
use rpc::client::Remote;
use rpc::pool::{Dial, Dialling, Io, Peer};
use rpc::serve::{Dispatch, Served};
use std::path::Path;
use std::sync::Arc;
use storage::shard::ShardOptions;
use testkit::conformance;

/// Connects by pipes in memory.
struct Pipes {
    env: Env,
    dispatch: Dispatch,
}

impl Dial for Pipes {
    fn dial(&self) -> Dialling {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (env, dispatch) = (self.env.clone(), self.dispatch.clone());
        self.env.tasks.spawn(async move { rpc::access::serve(&env, theirs, "pipe", dispatch).await });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Io>) })
    }

    fn port(&self) -> u16 {
        7
    }
}

/// A host that serves these roles, as others see it.
fn remote(env: &Env, folder: &Path, served: Served) -> Remote {
    let dispatch = Dispatch::new(env.clone(), folder.to_owned(), served);
    let pipes = Arc::new(Pipes { env: env.clone(), dispatch });
    Remote::new(Peer::new(env.clone(), HostName::new("mars"), pipes, 2))
}

async fn open(env: &Env, folder: &Path) -> Result<Arc<DirectoryServer>> {
    let server = DirectoryServer::open(env.clone(), &folder.join("directory.db")).await;
    Ok(Arc::new(server.context("the directory opens")?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_server_here_and_there() -> Result<()> {
    let (env, here, there) = (Env::for_test("imconfserv"), tempfile::tempdir()?, tempfile::tempdir()?);
    let server = |folder: &Path| {
        std::fs::write(folder.join("config.db"), "# of a test\n")?;
        anyhow::Ok(ConfigurationServer::new(Files::in_folder(folder), env.clone()))
    };
    conformance::configuration::all(&server(here.path())?).await;
    let served = Served { configuration: Some(Arc::new(server(there.path())?)), ..Served::default() };
    conformance::configuration::all(&remote(&env, there.path(), served)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provisioning_here_and_there() -> Result<()> {
    let (env, here, there) = (Env::for_test("imdircacheserv"), tempfile::tempdir()?, tempfile::tempdir()?);
    conformance::provisioning::all(&*open(&env, here.path()).await?).await;
    let served = Served { provisioning: Some(open(&env, there.path()).await?), ..Served::default() };
    conformance::provisioning::all(&remote(&env, there.path(), served)).await;
    Ok(())
}

/// A directory with `anna@one.example`, whose password is `secret`.
async fn with_anna(env: &Env, folder: &Path) -> Result<Arc<DirectoryServer>> {
    let server = open(env, folder).await?;
    // In the clear: SCRAM keys are made of it.
    let password = NewPassword::Clear(Secret::new("secret"));
    let new = NewAccount::simple(&Address::parse("anna@one.example")?, password);
    let domain = Domain::parse("one.example").context("a domain")?;
    let requests = vec![
        Request::CreateDomain(domain, catalog::account::DomainKind::Local, None),
        Request::CreateAccount(Box::new(new)),
    ];
    let done = server.provision(&Call::new(RequestId(1), TraceId::new("t")), requests).await?;
    anyhow::ensure!(done.iter().all(Result::is_ok), "{done:?}");
    Ok(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_and_its_copy_here_and_there() -> Result<()> {
    let (env, folder) = (Env::for_test("imdircacheserv"), tempfile::tempdir()?);
    let server = with_anna(&env, folder.path()).await?;
    let served = Served { directory: Some(server.clone()), cache: Some(server.clone()), ..Served::default() };
    let away = remote(&env, folder.path(), served);
    conformance::directory::all(&*server, "anna@one.example", "secret").await;
    conformance::directory::all(&away, "anna@one.example", "secret").await;
    conformance::cache::none(&*server).await;
    conformance::cache::none(&away).await;
    server.keep_copy(&folder.path().join("copy"))?;
    let to = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    conformance::cache::all(&*server, "anna@one.example", &to("first")).await;
    conformance::cache::all(&away, "anna@one.example", &to("second")).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_here_and_there() -> Result<()> {
    let (env, here, there) = (Env::for_test("imqueueserv"), tempfile::tempdir()?, tempfile::tempdir()?);
    let options = || ShardOptions { reserve: 0, ..ShardOptions::default() };
    let now = env.clock.now();
    conformance::queue::all(&Queue::open(here.path(), options(), &env).await?, now).await;
    let queue = Arc::new(Queue::open(there.path(), options(), &env).await?);
    let served = Served { queue: Some(queue), ..Served::default() };
    conformance::queue::all(&remote(&env, there.path(), served), now).await;
    Ok(())
}
