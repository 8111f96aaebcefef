//! DATA and BDAT: the message itself. RFC 5321 4.1.1.4, RFC 3030.
//!
//! Pieces go from the connection's buffer into a spool as they come, so that a session holds little however
//! large the message is. What is wrong with a message is answered at its end, where the client listens; until
//! then the rest is read and dropped, but not without end.

use super::Service;
use super::replies;
use super::session::{COMMAND_TIMEOUT, End, Session, Transaction};
use crate::accept::{Answers, Incoming, take_responsibility};
use crate::headers::HeaderScan;
use crate::stamp::{self, Way};
use bytes::{Buf as _, BytesMut};
use catalog::events::mta::MtaMessageRefused;
use env::clock::Moment;
use mail::id::{HostName, TraceId};
use mail::time::Timestamp;
use net::connection::Gone;
use net::spool::Spool;
use roles::Body;
use std::time::Duration;
use wire::smtp::Dialect;
use wire::smtp::data::{BadData, Chunk, Decoder, LineCheck, Piece};
use wire::smtp::reply::Reply;
use wire::smtp::server_state::Event;

/// How long one message may take to arrive, however steadily it drips.
const MAX_TRANSFER: Duration = Duration::from_secs(4 * 3600);
/// Octets past the largest message that are read and dropped before the client is hung up on.
const MAX_DROPPED: u64 = 64 << 20;
/// Octets of a submitted message's header that are held while it is not known what the header lacks.
const MAX_HELD: usize = 64 << 10;

/// A message that is being received.
pub(super) struct Receiving {
    /// None: the message is refused.
    spool: Option<Spool>,
    refused: Option<Reply>,
    scan: HeaderScan,
    /// A submission's header, for as long as something may have to go before it.
    held: Option<BytesMut>,
    check: LineCheck,
    /// Octets of the message, without what we put in front.
    len: u64,
    limit: u64,
    return_path: u64,
    arrived: Timestamp,
    began: Moment,
}

impl Receiving {
    async fn push(&mut self, piece: &[u8], names: &Names<'_>) {
        self.len += piece.len() as u64;
        if self.len > self.limit {
            self.refuse(replies::TOO_LARGE);
        }
        if self.refused.is_some() {
            return;
        }
        if !self.scan.ended() {
            self.scan.push(piece);
            if let Some(fault) = self.scan.fault() {
                return self.refuse(replies::bad_header(fault));
            }
        }
        match &mut self.held {
            Some(held) => {
                held.extend_from_slice(piece);
                if self.scan.ended() || held.len() > MAX_HELD {
                    self.release(names).await;
                }
            }
            None => self.spool(piece).await,
        }
    }

    /// What the header lacks, and then what has been held.
    async fn release(&mut self, names: &Names<'_>) {
        let Some(held) = self.held.take() else { return };
        let missing = stamp::missing_fields(&self.scan, names.host, names.trace, self.arrived);
        self.spool(missing.as_bytes()).await;
        self.spool(&held).await;
    }

    async fn spool(&mut self, piece: &[u8]) {
        let Some(spool) = &mut self.spool else { return };
        if spool.push(piece).await.is_err() {
            self.refuse(replies::NO_SPACE);
        }
    }

    /// The first reason counts; what has come so far is let go.
    fn refuse(&mut self, why: Reply) {
        self.refused.get_or_insert(why);
        (self.spool, self.held) = (None, None);
    }

    async fn finish(mut self, names: &Names<'_>) -> Result<Body, Reply> {
        self.release(names).await;
        match (self.refused, self.spool) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(spool)) => spool.finish().await.map_err(|_| replies::NO_SPACE),
            (None, None) => Err(replies::TROUBLE),
        }
    }
}

/// What goes into header fields that are added.
struct Names<'a> {
    host: &'a HostName,
    trace: &'a TraceId,
}

impl Session<'_> {
    pub(super) async fn data(&mut self) -> Result<(), End> {
        let Some(transaction) = self.transaction.take() else {
            self.reply(&replies::TROUBLE);
            return Ok(());
        };
        self.reply(&replies::GO_AHEAD);
        let mut receiving = self.receive(&transaction).await;
        if let Some(fault) = self.read_dots(&mut receiving, &transaction.trace).await? {
            receiving.refuse(replies::bad_data(fault));
        }
        self.finish(*transaction, receiving).await;
        Ok(())
    }

    pub(super) async fn bdat(&mut self, size: u64, last: bool) -> Result<(), End> {
        let Some(mut transaction) = self.transaction.take() else {
            self.reply(&replies::TROUBLE);
            return self.skip(size).await;
        };
        let mut receiving = match transaction.receiving.take() {
            Some(receiving) => receiving,
            None => self.receive(&transaction).await,
        };
        if receiving.len.saturating_add(size) > receiving.limit {
            receiving.refuse(replies::TOO_LARGE);
        }
        self.check_endless(size)?;
        self.read_chunk(size, &mut receiving, &transaction.trace).await?;
        if last {
            if let Some(fault) = std::mem::take(&mut receiving.check).finish() {
                receiving.refuse(replies::bad_data(fault));
            }
            self.finish(*transaction, receiving).await;
        } else if let Some(refusal) = receiving.refused.take() {
            // RFC 3030 2: what follows a failed chunk is refused until RSET.
            self.state = self.state.after(Event::TransactionOver);
            self.refuse(&transaction, &refusal);
        } else {
            transaction.receiving = Some(receiving);
            self.transaction = Some(transaction);
            self.state = self.state.after(Event::ChunkTaken);
            self.reply(&replies::CHUNK_OK);
        }
        Ok(())
    }

    /// Drops a chunk that came out of order.
    pub(super) async fn skip(&mut self, size: u64) -> Result<(), End> {
        self.check_endless(size)?;
        let (mut chunk, began) = (Chunk::new(size), self.mta.env.clock.moment());
        while chunk.left() > 0 {
            let input = self.connection.input();
            let taken = chunk.take(input.len());
            input.advance(taken);
            if chunk.left() > 0 {
                self.wait_for_content(began).await?;
            }
        }
        Ok(())
    }

    /// A chunk far larger than any message is not read to its end.
    fn check_endless(&mut self, size: u64) -> Result<(), End> {
        if size <= self.rules.max_message.saturating_add(MAX_DROPPED) {
            return Ok(());
        }
        self.reply(&replies::TOO_LARGE);
        Err(End::Endless)
    }

    /// Begins a message with the lines of this hop.
    async fn receive(&self, transaction: &Transaction) -> Receiving {
        let arrived = self.mta.env.clock.now();
        let tls = self.connection.tls_summary();
        let way = Way {
            dialect: self.service.dialect(),
            hello: self.hello,
            transport: self.connection.transport(),
            identity: self.identity(),
            utf8: transaction.origin.utf8,
            name: &self.name,
            peer: self.peer(),
            tls: tls.as_deref(),
        };
        let only = match transaction.to.as_slice() {
            [only] => Some(&only.recipient.address),
            _ => None,
        };
        let mut lines = stamp::return_path(&transaction.origin.sender);
        let return_path = lines.len() as u64;
        lines.push_str(&stamp::received(&way, &self.mta.host, &transaction.trace, only, arrived));
        let mut receiving = Receiving {
            spool: Some(self.mta.spool(&self.rules)),
            refused: None,
            scan: HeaderScan::new(),
            held: (self.service == Service::Submission).then(BytesMut::new),
            check: LineCheck::default(),
            len: 0,
            limit: transaction.limit,
            return_path,
            arrived,
            began: self.mta.env.clock.moment(),
        };
        receiving.spool(lines.as_bytes()).await;
        receiving
    }

    async fn read_dots(
        &mut self,
        receiving: &mut Receiving,
        trace: &TraceId,
    ) -> Result<Option<BadData>, End> {
        let names = Names { host: &self.mta.host, trace };
        let mut decoder = Decoder::new();
        loop {
            let input = self.connection.input();
            match decoder.next(input) {
                Piece::NeedMore => self.wait_for_content(receiving.began).await?,
                Piece::Content { skip, keep } => {
                    if let Some(fault) = decoder.fault() {
                        receiving.refuse(replies::bad_data(fault));
                    }
                    receiving.push(input.get(skip..skip + keep).unwrap_or_default(), &names).await;
                    input.advance(skip + keep);
                    if receiving.len > receiving.limit.saturating_add(MAX_DROPPED) {
                        self.reply(&replies::TOO_LARGE);
                        return Err(End::Endless);
                    }
                }
                Piece::End { skip, fault } => {
                    input.advance(skip);
                    return Ok(fault);
                }
            }
        }
    }

    async fn read_chunk(&mut self, size: u64, receiving: &mut Receiving, trace: &TraceId) -> Result<(), End> {
        let names = Names { host: &self.mta.host, trace };
        let mut chunk = Chunk::new(size);
        while chunk.left() > 0 {
            let input = self.connection.input();
            let taken = chunk.take(input.len());
            let piece = input.get(..taken).unwrap_or_default();
            receiving.check.push(piece);
            receiving.push(piece, &names).await;
            input.advance(taken);
            if chunk.left() > 0 {
                self.wait_for_content(receiving.began).await?;
            }
        }
        Ok(())
    }

    /// Sends what there is to send, and waits for more of the message. A server that is to stop lets a message
    /// come to its end.
    async fn wait_for_content(&mut self, began: Moment) -> Result<(), End> {
        self.connection.flush().await?;
        if began.elapsed() > MAX_TRANSFER {
            return Err(Gone::Timeout.into());
        }
        self.connection.fill(COMMAND_TIMEOUT).await?;
        Ok(())
    }

    /// The message is here: takes responsibility for it, or says why not.
    async fn finish(&mut self, transaction: Transaction, receiving: Receiving) {
        self.state = self.state.after(Event::TransactionOver);
        let (return_path, arrived) = (receiving.return_path, receiving.arrived);
        let names = Names { host: &self.mta.host, trace: &transaction.trace };
        let body = match receiving.finish(&names).await {
            Ok(body) => body,
            Err(refusal) => return self.refuse_message(&transaction, &refusal),
        };
        let trace = transaction.trace.clone();
        let answers = match self.service.dialect() {
            Dialect::Smtp => Answers::Together,
            Dialect::Lmtp => Answers::Each,
        };
        let incoming = Incoming {
            origin: transaction.origin,
            to: transaction.to,
            body,
            return_path,
            trace: transaction.trace,
            arrived,
            peer: self.peer(),
            answers,
        };
        // Large, and needed once a message.
        let fates = Box::pin(take_responsibility(self.mta, incoming)).await;
        self.messages += 1;
        match answers {
            Answers::Together => self.reply(&replies::fates(&fates, &trace)),
            Answers::Each => fates.into_iter().for_each(|fate| self.reply(&replies::fate(fate, &trace))),
        }
    }

    /// RFC 2033 4.2: by LMTP, as many replies as recipients were accepted.
    fn refuse_message(&mut self, transaction: &Transaction, refusal: &Reply) {
        self.refuse(transaction, refusal);
        if self.service.dialect() == Dialect::Lmtp {
            transaction.to.iter().skip(1).for_each(|_| refusal.write(self.connection.output()));
        }
    }

    fn refuse(&mut self, transaction: &Transaction, refusal: &Reply) {
        let (from, peer) = (&transaction.origin.sender, self.peer());
        self.mta.env.log.emit(&MtaMessageRefused { from, peer, reply: refusal });
        self.reply(refusal);
    }
}
