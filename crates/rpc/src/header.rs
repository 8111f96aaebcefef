//! What every call carries beside its message: protocol number, request, trace, deadline, and the store it is for.
//!
//! They travel as gRPC metadata; the deadline is gRPC's own `grpc-timeout`. A number older than [`OLDEST`] is refused; a
//! newer one than ours is served, as fields and methods are only ever added.

use mail::id::{HostName, RequestId, TraceId};
use roles::Call;
use roles::call::LONGEST;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

/// The protocol number that we speak.
pub const PROTOCOL: u32 = 2;
/// The oldest one that we serve: number 1 is the same without [`HELLO`](crate::pool) on a connection.
pub const OLDEST: u32 = 1;

const NUMBER: &str = "im-protocol";
const REQUEST: &str = "im-request";
const TRACE: &str = "im-trace";
const STORE: &str = "im-store";
/// A longer name is none.
const LONGEST_STORE: usize = 255;

/// Puts the circumstances of a call on its way.
pub(crate) fn put<M>(call: &Call, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(call.deadline);
    let map = request.metadata_mut();
    map.insert(NUMBER, MetadataValue::from(PROTOCOL));
    let texts = [(REQUEST, format!("{:032x}", call.request.0)), (TRACE, call.trace.as_str().to_owned())];
    let store = call.store.as_ref().map(|store| (STORE, store.as_str().to_owned()));
    for (name, text) in texts.into_iter().chain(store) {
        // All are letters, digits, dots and dashes by their types.
        if let Ok(value) = MetadataValue::<Ascii>::try_from(text) {
            map.insert(name, value);
        }
    }
    request
}

/// The protocol number of a call.
///
/// # Errors
/// One that is not served.
pub(crate) fn protocol(map: &MetadataMap) -> Result<u32, Status> {
    let number = map.get(NUMBER).and_then(|n| n.to_str().ok()).and_then(|n| n.parse().ok()).unwrap_or(0);
    match number {
        0..OLDEST => Err(Status::failed_precondition(format!(
            "protocol {number} is not served here, {OLDEST} to {PROTOCOL} are"
        ))),
        number => Ok(number),
    }
}

/// The circumstances of a call that came.
///
/// # Errors
/// Where the request has no id that can be read, or its protocol is not served.
pub(crate) fn read(map: &MetadataMap) -> Result<Call, Status> {
    protocol(map)?;
    let text = |name: &str| map.get(name).and_then(|v| v.to_str().ok());
    let id = text(REQUEST).filter(|t| t.len() <= 32).and_then(|t| u128::from_str_radix(t, 16).ok());
    let id = id.ok_or_else(|| Status::invalid_argument("the call has no request id"))?;
    let mut call = Call::new(RequestId(id), TraceId::new(text(TRACE).unwrap_or_default()));
    call.store = text(STORE).filter(|t| t.len() <= LONGEST_STORE).map(HostName::new);
    call.deadline = text("grpc-timeout").and_then(timeout).unwrap_or(LONGEST).min(LONGEST);
    Ok(call)
}

/// At most eight digits and a unit, as gRPC's protocol over HTTP/2 has it.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = (digits.len() <= 8).then(|| digits.parse().ok()).flatten()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_comes_as_it_went() {
        let mut call = Call::new(RequestId(u128::MAX - 7), TraceId::new("2026.AB-1"));
        call.deadline = Duration::from_millis(1500);
        call.store = Some(HostName::new("mars"));
        let there = read(put(&call, ()).metadata()).unwrap();
        assert_eq!((there.request, there.trace.as_str()), (call.request, "2026.AB-1"));
        assert_eq!((there.deadline, there.store), (call.deadline, call.store));
    }

    #[test]
    fn its_19559_older_protocols_are_served_as_declared() {
        let call = Call::new(RequestId(1), TraceId::new("t"));
        let with = |number: u32| {
            let mut request = put(&call, ());
            request.metadata_mut().insert(NUMBER, MetadataValue::from(number));
            read(request.metadata()).map(drop).map_err(|status| status.code())
        };
        assert_eq!(with(OLDEST), Ok(()));
        assert_eq!(with(PROTOCOL + 40), Ok(()));
        assert_eq!(with(0), Err(tonic::Code::FailedPrecondition));
        assert!(read(&MetadataMap::new()).is_err());
    }

    #[test]
    fn timeouts_are_read_or_ignored() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        for bad in ["", "m", "12", "123456789S", "1x", "-1S", "é"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
