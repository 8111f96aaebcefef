//! A site opened for one command while no daemon runs.

use crate::folder;
use crate::here::Parts;
use crate::manager::SiteManager;
use crate::partners::MANAGER;
use crate::surroundings::Surroundings;
use crate::wiring::Servers;
use admin::connect::{Opened, Opener, Opening};
use admin::site::Site;
use std::sync::Arc;

/// Opens sites for commands.
pub struct SiteOpener;

impl Opener for SiteOpener {
    fn open<'a>(&'a self, site: &'a Site) -> Opening<'a> {
        Box::pin(async move {
            let lock = folder::lock(site)?;
            let site = Arc::new(site.clone());
            let surroundings = Surroundings::new(&site, MANAGER)?;
            let parts = Parts::of_host(&surroundings.env.settings);
            let servers = Arc::new(Servers::open(&site, &surroundings, parts).await?);
            let manager = SiteManager::new(Arc::clone(&site), &surroundings, Arc::clone(&servers));
            let roles = servers.roles(manager);
            let close = Box::pin(async move {
                servers.close().await;
                drop((surroundings, lock));
            });
            Ok(Opened { roles, close })
        })
    }
}
