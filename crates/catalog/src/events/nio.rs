//! Events of the network.

use crate::events;

events! {
    #[doc = "A connection was refused by a list of addresses."]
    NioConnNotAllowed: Warn { peer, port, key }
        cause "The key named in the event does not allow the client." action "None, or change the key.";
    #[doc = "A connection was refused because its network has as many as it may."]
    NioConnectionLimit: Warn { peer, limit }
        cause "clientConnectionLimitTable." action "None, or raise the limit.";
    #[doc = "An entry of clientConnectionLimitTable cannot be read and was skipped."]
    NioConnectionLimitTableBadEntry: Erro { entry }
        cause "It is not of the form network:most." action "Correct the entry.";
    #[doc = "A port cannot be opened."]
    NioListenFail: Fatl { address, error }
        cause "Another program holds it, or the right to open it is missing."
        action "Stop the other program or choose another port; start as root for ports below 1024.";
    #[doc = "A connection could not be accepted; the listener pauses and goes on."]
    NioAcceptFail: Erro { error }
        cause "The process has no file descriptors left, or the system no memory."
        action "Raise the limit of open files; look for clients that open too many connections.";
    #[doc = "A connection to a peer broke; it is made anew, and the call repeated where that is safe."]
    NioConnectReadFail: Warn { host, port, cause }
        cause "The peer was stopped, or the network was cut." action "None, unless it goes on.";
    #[doc = "A peer that was in use cannot be reached any more."]
    NioServerGoneDown: Urgt { host, port }
        cause "Its process has ended, or the host is down." action "Start it again.";
    #[doc = "A TLS connection could not be agreed."]
    NioTlsFailed: Warn { peer, port, reason }
        cause "A client with other versions or ciphers, or one that does not trust the certificate."
        action "Many of one kind: check the certificate and its chain.";
    #[doc = "A TLS connection to a remote server could not be agreed; the mail goes without."]
    NioTlsRemoteFailed: Warn { host, peer, reason }
        cause "The remote server offers TLS that does not work." action "None.";
    #[doc = "The certificate or its key cannot be used."]
    NioTlsCertUnreadable: Fatl { path, reason }
        cause "The file is missing, not readable, not PEM, or key and certificate do not fit."
        action "Correct sslCertChainPathAndFile or the file.";
}
