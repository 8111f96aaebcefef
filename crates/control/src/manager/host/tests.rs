use super::super::child::Launch;
use super::super::child::tests::script;
use super::super::unit::Recipe;
use super::*;
use env::Env;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// A server that writes down when it begins and when it ends.
struct Diarist {
    name: &'static str,
    folder: PathBuf,
    handing: Handing,
}

impl Recipe for Diarist {
    fn name(&self) -> &'static str {
        self.name
    }

    fn launch(&self) -> Launch {
        let name = self.name;
        let folder = self.folder.display();
        let text = match name {
            "imqueueserv" => "exit 1".to_owned(),
            _ => format!(
                "trap 'echo -{name} >> {folder}/diary; exit 0' TERM; echo +{name} >> {folder}/diary;
                 echo ready 1 >&0; while :; do sleep 0.01; done"
            ),
        };
        let own = self.folder.join(name);
        std::fs::create_dir_all(&own).unwrap();
        script(&own, &text)
    }

    fn sockets(&self) -> Result<Vec<OwnedFd>, String> {
        Ok(Vec::new())
    }

    fn handing(&self) -> Handing {
        self.handing
    }

    fn close(&self) {}
}

#[tokio::test]
async fn servers_start_in_order_and_stop_in_the_opposite_one_and_a_failure_stops_none() {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::for_test("immgrserv");
    let unit = |(name, handing): (&'static str, Handing)| {
        Unit::new(Arc::new(Diarist { name, folder: folder.path().to_owned(), handing }), &env)
    };
    let all = [
        ("imdircacheserv", Handing::After),
        ("mss", Handing::After),
        ("imqueueserv", Handing::After),
        ("mta", Handing::Beside),
    ];
    let host = Host::new(all.into_iter().map(unit).collect());
    let failed = host.start_all().await;
    assert!(failed.len() == 1 && failed[0].contains("imqueueserv did not start"), "{failed:?}");
    host.stop_all().await;
    let diary = std::fs::read_to_string(folder.path().join("diary")).unwrap();
    let lines: Vec<_> = diary.lines().collect();
    assert_eq!(lines, ["+imdircacheserv", "+mss", "+mta", "-mta", "-mss", "-imdircacheserv"]);
}
