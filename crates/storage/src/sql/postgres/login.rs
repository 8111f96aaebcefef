//! The beginning of a connection: who we are, the password, how the session is to behave.

use super::Server;
use super::failure::Failure;
use super::stream::Stream;
use crate::sql::SqlError;
use crate::sql::session::PROGRAM;
use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use std::io;

/// Most messages until the server is ready: it tells some twenty settings.
const MAX_MESSAGES: usize = 200;

/// Makes the server ready for statements of a program that knows steps of the schema up to `newest`.
pub(super) fn log_in(stream: &mut Stream, server: &Server, newest: i64) -> Result<(), SqlError> {
    let program = format!("{PROGRAM}{newest}");
    let mut out = BytesMut::new();
    let parameters = [
        ("user", server.user.as_str()),
        ("database", server.address.database.as_str()),
        ("application_name", program.as_str()),
        ("client_encoding", "UTF8"),
    ];
    frontend::startup_message(parameters, &mut out)?;
    stream.send(&out)?;
    let mut scram = None;
    for _ in 0..MAX_MESSAGES {
        out.clear();
        match stream.message()? {
            Message::AuthenticationOk
            | Message::ParameterStatus(_)
            | Message::BackendKeyData(_)
            | Message::NoticeResponse(_) => {}
            Message::AuthenticationCleartextPassword => {
                if !stream.is_private() {
                    return Err(refused(
                        "the server wants the password in the clear on a connection without TLS",
                    ));
                }
                frontend::password_message(password(server)?, &mut out)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(server.user.as_bytes(), password(server)?, body.salt());
                frontend::password_message(hash.as_bytes(), &mut out)?;
            }
            Message::AuthenticationSasl(body) => scram = Some(begin_scram(&body, server, &mut out)?),
            Message::AuthenticationSaslContinue(body) => {
                let scram = scram.as_mut().ok_or_else(unexpected)?;
                scram.update(body.data())?;
                frontend::sasl_response(scram.message(), &mut out)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                scram.as_mut().ok_or_else(unexpected)?.finish(body.data())?;
            }
            Message::ErrorResponse(body) => return Err(Failure::read(&body).error),
            Message::ReadyForQuery(_) => return Ok(()),
            _ => return Err(unexpected()),
        }
        if !out.is_empty() {
            stream.send(&out)?;
        }
    }
    Err(unexpected())
}

/// RFC 7677 as PostgreSQL 55.3.1 has it: the server's proof is checked too.
fn begin_scram(
    body: &AuthenticationSaslBody,
    server: &Server,
    out: &mut BytesMut,
) -> Result<ScramSha256, SqlError> {
    let mut mechanisms = body.mechanisms();
    while let Some(mechanism) = mechanisms.next()? {
        if mechanism == SCRAM_SHA_256 {
            let scram = ScramSha256::new(password(server)?, ChannelBinding::unsupported());
            frontend::sasl_initial_response(mechanism, scram.message(), out)?;
            return Ok(scram);
        }
    }
    Err(refused("the server offers no way to log in that this program knows"))
}

fn password(server: &Server) -> Result<&[u8], SqlError> {
    let password = server.password.as_ref().ok_or_else(|| refused("the server wants a password"))?;
    Ok(password.expose())
}

fn refused(reason: &str) -> SqlError {
    SqlError::Unavailable(reason.into())
}

fn unexpected() -> SqlError {
    io::Error::new(io::ErrorKind::InvalidData, "this is not what a PostgreSQL server says").into()
}

/// How every session behaves. Plans are made once and by index: every statement of ours has one for what it looks for,
/// and a plan that was made while a table was small would walk it when it is large (ITS 44395).
pub(super) fn settings(server: &Server) -> String {
    let statement = server.statement_timeout.as_millis();
    let lock = crate::sql::LOCK_WAIT.as_millis();
    format!(
        "SET synchronous_commit = on; SET statement_timeout = {statement}; SET lock_timeout = {lock};
         SET idle_in_transaction_session_timeout = {statement}; SET plan_cache_mode = force_generic_plan;
         SET enable_seqscan = off; SET jit = off; SET bytea_output = hex; SET standard_conforming_strings = on"
    )
}
