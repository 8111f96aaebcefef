//! Keys of the message store.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Number of shards of the message store on this host: each has one log, one index and one committer."]
    NUM_MSS_PORTS: u64 = "numMssPorts" in ["mss"], Kind::Number(1..=64), ["2"], Restart, since "3.2";
}
