//! How long a small call takes: `account_find` of a directory that knows one account, over TCP of this host with
//! certificates on both sides. Prints the quantiles of so many calls, one after the other.
//!
//! `cargo run --release -p rpc --example call -- [CALLS]`

use env::Env;
use mail::id::{HostName, RequestId, TraceId};
use mail::network::Networks;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use roles::Call;
use roles::directory::Directory as _;
use rpc::access::{Door, Outgoing};
use rpc::client::Remote;
use rpc::identity::{AUTHORITIES, HOST, Identity};
use rpc::pool::Peer;
use rpc::serve::{Dispatch, Served};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::directory::ScriptedDirectory;

/// Calls before the ones that count.
const WARM_UP: usize = 2_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let calls: usize = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse())?;
    let (env, folder) = (Env::for_test("imapserv"), tempfile::tempdir()?);
    certificates(folder.path())?;
    let identity = Identity::load(folder.path())?;
    let networks = Arc::new(Networks::read(&["127.0.0.0/8".to_owned()], |_| ()));
    let access = Arc::new(move || Arc::clone(&networks));
    let door = Door::bind(env.clone(), "127.0.0.1:0".parse()?, Arc::clone(&identity), access)?;
    let port = door.address()?.port();
    let directory = ScriptedDirectory::new();
    directory.account("anna@example.com", "secret");
    let served = Served { directory: Some(Arc::new(directory)), ..Served::default() };
    env.tasks.spawn(door.run(Dispatch::new(env.clone(), folder.path().to_owned(), served)));
    let way = Outgoing::new("127.0.0.1".into(), port, "mars", identity)?;
    let peer = Peer::new(env.clone(), HostName::new("mars"), Arc::new(way), 1);
    let mut times = measured(&env, &Remote::new(peer), calls).await?;
    times.sort_unstable();
    let quantile = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!("calls {calls}  p50 {:?}  p90 {:?}  p99 {:?}", quantile(50), quantile(90), quantile(99));
    Ok(())
}

async fn measured(env: &Env, directory: &Remote, calls: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = Vec::with_capacity(calls);
    for number in 0..WARM_UP + calls {
        let call = Call::new(RequestId(number as u128), TraceId::new("bench"));
        let begun = env.clock.moment();
        directory.account_find(&call, "anna@example.com".into()).await?;
        if number >= WARM_UP {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

/// An authority and the certificate of the host `mars`.
fn certificates(folder: &Path) -> Result<(), Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join(AUTHORITIES), params.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(vec!["mars".to_owned()])?.signed_by(&key, &issuer)?.pem();
    std::fs::write(folder.join(HOST), format!("{own}{}", key.serialize_pem()))?;
    Ok(())
}
