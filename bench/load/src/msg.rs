//! Deterministic test messages that carry their own checksum.
//!
//! Each message has `X-Bench: r=RUN i=ID n=BODYLEN s=FNV64` and a body drawn from a small pool,
//! so any copy read back later can be tied to the send that was acknowledged, and checked.

pub(crate) fn splitmix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[derive(Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

struct Body {
    ctype: String,
    raw: Vec<u8>,
    stuffed: Vec<u8>,
    sum: u64,
}

pub(crate) struct Pool {
    run: String,
    bodies: Vec<Body>,
}

const POOL: u64 = 512;
/// The bodies of a fixed size have together at most about this many bytes.
const POOL_BYTES: u64 = 256 << 20;
const WORDS: [&str; 32] = [
    "the",
    "quarterly",
    "report",
    "shows",
    "that",
    "delivery",
    "of",
    "mail",
    "to",
    "customers",
    "was",
    "better",
    "than",
    "expected",
    "and",
    "we",
    "would",
    "like",
    "thank",
    "everyone",
    "for",
    "their",
    "work",
    "on",
    "this",
    "project",
    "please",
    "find",
    "attached",
    "figures",
    "regards",
    "meeting",
];

/// Log-normal sizes, median 8 KB, cut to 2..100 KB.
fn size_of(k: u64) -> usize {
    let mut z = -6.0;
    for j in 0..12 {
        z += (splitmix(k * 12 + j) >> 11) as f64 / (1u64 << 53) as f64;
    }
    ((8192.0 * (0.9 * z).exp()) as usize).clamp(2048, 102_400)
}

fn text(out: &mut Vec<u8>, seed: u64, len: usize) {
    let start = out.len();
    let (mut line, mut k) = (0, 0u64);
    while out.len() - start < len {
        k += 1;
        let r = splitmix(seed ^ (k << 20));
        let word = WORDS[(r % 32) as usize];
        if line + word.len() > 72 {
            out.extend_from_slice(b"\r\n");
            line = 0;
        }
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        line += word.len() + 1;
        if r >> 60 == 0 {
            let number = format!("{:06} ", (r >> 32) % 1_000_000);
            out.extend_from_slice(number.as_bytes());
            line += number.len();
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn base64ish(out: &mut Vec<u8>, seed: u64, len: usize) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for k in 0..(len / 78).max(1) as u64 {
        for j in 0..76u64 {
            out.push(ALPHABET[(splitmix(seed ^ (k << 8) ^ (j / 10)) >> (6 * (j % 10)) & 63) as usize]);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn body(k: u64, fixed: Option<usize>) -> Body {
    let size = fixed.unwrap_or_else(|| size_of(k));
    let mut raw = Vec::with_capacity(size + 512);
    let ctype = if size > 16_384 {
        let mark = format!("=_bench_{k}");
        raw.extend_from_slice(
            format!("--{mark}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n").as_bytes(),
        );
        text(&mut raw, k, 3000);
        raw.extend_from_slice(
            format!("--{mark}\r\nContent-Type: application/octet-stream; name=\"f{k}.bin\"\r\nContent-Disposition: attachment; filename=\"f{k}.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n").as_bytes(),
        );
        let left = size.saturating_sub(raw.len() + 40);
        base64ish(&mut raw, k, left);
        raw.extend_from_slice(format!("--{mark}--\r\n").as_bytes());
        format!("multipart/mixed; boundary=\"{mark}\"")
    } else {
        if k % 16 == 3 {
            raw.extend_from_slice(b".a line that starts with a dot\r\n..\r\n");
        }
        let left = size.saturating_sub(raw.len() + 2);
        text(&mut raw, k, left);
        "text/plain; charset=utf-8".to_string()
    };
    let mut sum = Fnv::new();
    sum.add(&raw);
    let mut stuffed = Vec::with_capacity(raw.len() + 8);
    for line in raw.split_inclusive(|b| *b == b'\n') {
        if line[0] == b'.' {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    Body { ctype, raw, stuffed, sum: sum.0 }
}

impl Pool {
    pub(crate) fn new(run: &str, fixed: Option<usize>) -> Pool {
        let fitting = fixed.map_or(POOL, |size| POOL_BYTES / (size as u64).max(1));
        let count = fitting.clamp(1, POOL);
        Pool { run: run.to_string(), bodies: (0..count).map(|k| body(k, fixed)).collect() }
    }

    fn header(&self, id: u64, to: &str, b: &Body) -> String {
        format!(
            "From: Bench Sender <sender@remote.test>\r\nTo: <{to}>\r\nSubject: bench {run} message {id} {tag}\r\n\
             Date: Mon, 02 Nov 2026 {:02}:{:02}:{:02} +0000\r\nMessage-ID: <{run}.{id}@bench.test>\r\n\
             MIME-Version: 1.0\r\nContent-Type: {}\r\nX-Bench: r={run} i={id} n={} s={:016x}\r\n\r\n",
            id / 3600 % 24,
            id / 60 % 60,
            id % 60,
            b.ctype,
            b.raw.len(),
            b.sum,
            run = self.run,
            tag = WORDS[(id % 32) as usize],
        )
    }

    fn pick(&self, id: u64) -> &Body {
        &self.bodies[(splitmix(id) % self.bodies.len() as u64) as usize]
    }

    /// Message as it travels in DATA, with the final dot.
    pub(crate) fn wire(&self, id: u64, to: &str) -> Vec<u8> {
        let b = self.pick(id);
        let mut out = self.header(id, to, b).into_bytes();
        out.extend_from_slice(&b.stuffed);
        out.extend_from_slice(b".\r\n");
        out
    }

    /// Message as stored, for APPEND.
    pub(crate) fn plain(&self, id: u64, to: &str) -> Vec<u8> {
        let b = self.pick(id);
        let mut out = self.header(id, to, b).into_bytes();
        out.extend_from_slice(&b.raw);
        out
    }
}

/// What reading a message back shows.
pub(crate) enum Seen {
    Good(String, u64),
    /// Whole but for the CRLF that ends its last line, which some servers drop.
    Trimmed(String, u64),
    Corrupt,
    NotOurs,
}

pub(crate) fn check(message: &[u8]) -> Seen {
    let Some(split) = message.windows(4).position(|w| w == b"\r\n\r\n") else { return Seen::NotOurs };
    let head = String::from_utf8_lossy(&message[..split]);
    let Some(line) = head.lines().find_map(|l| l.strip_prefix("X-Bench: ")) else { return Seen::NotOurs };
    let field = |name: &str| line.split(' ').find_map(|w| w.strip_prefix(name)).unwrap_or("").to_string();
    let (run, id) = (field("r="), field("i=").parse().unwrap_or(0));
    let body = &message[split + 4..];
    let mut sum = Fnv::new();
    sum.add(body);
    let says =
        |len: usize, sum: Fnv| field("n=") == len.to_string() && field("s=") == format!("{:016x}", sum.0);
    if says(body.len(), sum) {
        return Seen::Good(run, id);
    }
    sum.add(b"\r\n");
    if says(body.len() + 2, sum) { Seen::Trimmed(run, id) } else { Seen::Corrupt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_checks_out_and_damage_shows() {
        let pool = Pool::new("t", None);
        for id in 0..600 {
            let plain = pool.plain(id, "u1@bench.test");
            assert!(matches!(check(&plain), Seen::Good(r, i) if r == "t" && i == id));
            assert!(matches!(check(&plain[..plain.len() - 2]), Seen::Trimmed(_, i) if i == id));
            let mut bad = plain.clone();
            let at = bad.len() - 5;
            bad[at] ^= 1;
            assert!(matches!(check(&bad), Seen::Corrupt));
        }
    }

    #[test]
    fn sizes_have_the_stated_median_and_bounds() {
        let mut sizes: Vec<usize> = (0..POOL).map(size_of).collect();
        sizes.sort_unstable();
        assert!(sizes[0] >= 2048 && sizes[511] <= 102_400);
        assert!((6500..10_000).contains(&sizes[256]), "median {}", sizes[256]);
    }
}
