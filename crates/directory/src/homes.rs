//! Which hosts new mailboxes are given to. Pure.

use catalog::keys::common::MESSAGE_STORE_HOSTS;
use catalog::keys::sysadmin::MSS_RUN;
use catalog::tree::Tree;
use mail::id::HostName;

/// The hosts that `messageStoreHosts` names, else all that run a store; where there is none, the host that asks.
pub(crate) fn for_new_mailboxes(tree: &Tree, own: &str) -> Vec<HostName> {
    let named = tree.value(own, "common", MESSAGE_STORE_HOSTS);
    let mut homes: Vec<HostName> = match named.is_empty() {
        false => named.iter().map(|name| HostName::new(name.trim())).collect(),
        true => {
            let hosts = tree.hosts().into_iter().chain([own]);
            hosts.filter(|host| tree.value(host, "sysadmin", MSS_RUN)).map(HostName::new).collect()
        }
    };
    if homes.is_empty() {
        homes.push(HostName::new(own));
    }
    homes.sort();
    homes.dedup();
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(text: &str) -> Vec<String> {
        let tree = Tree::parse(text).unwrap();
        for_new_mailboxes(&tree, "Venus").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn new_mailboxes_go_to_the_hosts_that_have_a_store_or_to_those_that_are_named() {
        assert_eq!(homes(""), ["venus"]);
        let two = "/*/sysadmin/mss_run: [off]\n/mars/sysadmin/mss_run: [on]\n/jove/sysadmin/mss_run: [on]\n\
                   /venus/sysadmin/mta_run: [on]\n";
        assert_eq!(homes(two), ["jove", "mars"]);
        assert_eq!(homes(&format!("{two}/*/common/messageStoreHosts: [Mars]\n")), ["mars"]);
        assert_eq!(homes("/*/sysadmin/mss_run: [off]\n"), ["venus"]);
    }
}
