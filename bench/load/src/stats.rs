//! Latencies, one-line JSON, and what the server and the disk used during a run.
use crate::args::Args;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Lat(Mutex<Vec<u32>>);

impl Lat {
    pub(crate) fn add(&self, d: Duration) {
        self.0.lock().unwrap().push(d.as_micros().min(u128::from(u32::MAX)) as u32);
    }
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
    /// Puts NAME_p50_ms, NAME_p99_ms and NAME_max_ms in the report.
    pub(crate) fn report(&self, name: &str, out: &mut Json) {
        let mut v = self.0.lock().unwrap().clone();
        if v.is_empty() {
            return;
        }
        v.sort_unstable();
        let at = |q: f64| f64::from(v[((v.len() - 1) as f64 * q).round() as usize]) / 1000.0;
        out.num(&format!("{name}_p50_ms"), at(0.50));
        out.num(&format!("{name}_p99_ms"), at(0.99));
        out.num(&format!("{name}_max_ms"), at(1.0));
    }
}

#[derive(Default)]
pub(crate) struct Json(Vec<(String, String)>);

impl Json {
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        let escaped: String = value
            .chars()
            .flat_map(|c| match c {
                '"' | '\\' => vec!['\\', c],
                c if c < ' ' => vec![' '],
                c => vec![c],
            })
            .collect();
        self.0.push((key.to_string(), format!("\"{escaped}\"")));
    }
    pub(crate) fn num(&mut self, key: &str, value: f64) {
        let shown = if !value.is_finite() {
            "null".to_string()
        } else if value.fract() == 0.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.3}")
        };
        self.0.push((key.to_string(), shown));
    }
    pub(crate) fn line(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        format!("{{{}}}", parts.join(","))
    }
}

/// Error texts, counted; the first few kinds go in the report.
#[derive(Default)]
pub(crate) struct Errors {
    kinds: Mutex<BTreeMap<String, u64>>,
    total: AtomicU64,
}

impl Errors {
    pub(crate) fn add(&self, what: &str, text: impl std::fmt::Display) {
        let key: String = format!("{what}: {text}").chars().take(120).collect();
        self.total.fetch_add(1, Relaxed);
        let mut map = self.kinds.lock().unwrap();
        if map.len() < 20 || map.contains_key(&key) {
            *map.entry(key).or_default() += 1;
        }
    }
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
    pub(crate) fn report(&self, out: &mut Json) {
        out.num("errors", self.total() as f64);
        let map = self.kinds.lock().unwrap();
        if !map.is_empty() {
            let kinds: Vec<String> = map.iter().take(4).map(|(k, n)| format!("{n}x {k}")).collect();
            out.text("error_kinds", &kinds.join(" | "));
        }
    }
}

/// Which processes are the server: `--cgroup DIR` (a cpuacct group), `--pids 1,2` or `--names a,b`.
#[derive(Clone, Default)]
pub(crate) struct Server {
    cgroup: Option<String>,
    pids: Vec<u32>,
    names: Vec<String>,
    disk: String,
}

#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) procs: u64,
    pub(crate) rss_kb: u64,
    pub(crate) pss_kb: u64,
    pub(crate) anon_kb: u64,
}

impl Memory {
    fn raise(&mut self, now: Memory) {
        self.procs = self.procs.max(now.procs);
        self.rss_kb = self.rss_kb.max(now.rss_kb);
        self.anon_kb = self.anon_kb.max(now.anon_kb);
    }
}

#[derive(Default, Clone, Copy)]
pub(crate) struct Usage {
    cpu_s: f64,
    written_bytes: f64,
    write_ios: f64,
    flushes: f64,
    self_cpu_s: f64,
}

fn read(path: impl AsRef<std::path::Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field_after(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|l| l.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// CPU seconds of a process, with those of its children that ended.
fn proc_cpu(pid: u32, children: bool) -> f64 {
    let stat = read(format!("/proc/{pid}/stat"));
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
    let f: Vec<f64> = rest.split_whitespace().skip(11).take(4).map(|w| w.parse().unwrap_or(0.0)).collect();
    (f.iter().take(if children { 4 } else { 2 }).sum::<f64>()) / 100.0
}

impl Server {
    pub(crate) fn from(args: &Args) -> Server {
        let list = |key: &str| -> Vec<String> {
            args.get(key).map(|v| v.split(',').map(str::to_string).collect()).unwrap_or_default()
        };
        Server {
            cgroup: args.get("cgroup").map(str::to_string),
            pids: list("pids").iter().filter_map(|p| p.parse().ok()).collect(),
            names: list("names"),
            disk: args.text("disk", "vda"),
        }
    }

    pub(crate) fn known(&self) -> bool {
        self.cgroup.is_some() || !self.pids.is_empty() || !self.names.is_empty()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        if let Some(dir) = &self.cgroup {
            return read(format!("{dir}/cgroup.procs")).lines().filter_map(|l| l.parse().ok()).collect();
        }
        let mut pids = self.pids.clone();
        if !self.names.is_empty() {
            for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
                let comm = read(format!("/proc/{pid}/comm"));
                if self.names.iter().any(|n| n == comm.trim()) {
                    pids.push(pid);
                }
            }
        }
        pids
    }

    pub(crate) fn usage(&self) -> Usage {
        let cpu_s = match &self.cgroup {
            Some(dir) => read(format!("{dir}/cpuacct.usage")).trim().parse::<f64>().unwrap_or(0.0) / 1e9,
            None => self.pids().iter().map(|p| proc_cpu(*p, true)).sum(),
        };
        let stat = read(format!("/sys/block/{}/stat", self.disk));
        let f: Vec<f64> = stat.split_whitespace().map(|w| w.parse().unwrap_or(0.0)).collect();
        let at = |k: usize| f.get(k).copied().unwrap_or(0.0);
        Usage {
            cpu_s,
            write_ios: at(4),
            written_bytes: at(6) * 512.0,
            flushes: at(15),
            self_cpu_s: proc_cpu(std::process::id(), false),
        }
    }

    /// RSS and anonymous memory, cheap enough to sample during a run.
    pub(crate) fn quick_memory(&self) -> Memory {
        let mut m = Memory::default();
        for pid in self.pids() {
            let statm = read(format!("/proc/{pid}/statm"));
            let f: Vec<u64> = statm.split_whitespace().map(|w| w.parse().unwrap_or(0) * 4).collect();
            if f.len() > 2 {
                m.procs += 1;
                m.rss_kb += f[1];
                m.anon_kb += f[1].saturating_sub(f[2]);
            }
        }
        m
    }

    /// With PSS, which counts a page shared by n processes as 1/n in each.
    pub(crate) fn memory(&self) -> Memory {
        let mut m = Memory::default();
        for pid in self.pids() {
            let text = read(format!("/proc/{pid}/smaps_rollup"));
            if !text.is_empty() {
                m.procs += 1;
                m.rss_kb += field_after(&text, "Rss:");
                m.pss_kb += field_after(&text, "Pss:");
                m.anon_kb += field_after(&text, "Anonymous:");
            }
        }
        m
    }
}

/// Measures use from its making to `report`, and the highest memory seen meanwhile.
pub(crate) struct Meter {
    server: Server,
    start: Usage,
    sync: bool,
    peak: std::sync::Arc<Mutex<Memory>>,
    sampler: tokio::task::JoinHandle<()>,
}

impl Meter {
    pub(crate) fn start(args: &Args) -> Meter {
        let server = Server::from(args);
        let sync = args.flag("sync");
        if sync {
            let _ = std::process::Command::new("sync").status();
        }
        let peak = std::sync::Arc::new(Mutex::new(Memory::default()));
        let (seen, watched) = (peak.clone(), server.clone());
        let sampler = tokio::spawn(async move {
            while watched.known() {
                let now = watched.quick_memory();
                seen.lock().unwrap().raise(now);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        Meter { start: server.usage(), server, sync, peak, sampler }
    }

    pub(crate) fn report(&self, done: u64, out: &mut Json) {
        self.sampler.abort();
        let cpu_end = self.server.usage();
        if self.sync {
            let _ = std::process::Command::new("sync").status();
        }
        let end = self.server.usage();
        let per = |v: f64| if done == 0 { f64::NAN } else { v / done as f64 };
        out.num("tool_cpu_s", cpu_end.self_cpu_s - self.start.self_cpu_s);
        if self.server.known() {
            let cpu = cpu_end.cpu_s - self.start.cpu_s;
            out.num("server_cpu_s", cpu);
            out.num("cpu_s_per_1000", per(cpu * 1000.0));
            let peak = *self.peak.lock().unwrap();
            out.num("peak_rss_mb", (peak.rss_kb / 1024) as f64);
            out.num("peak_anon_mb", (peak.anon_kb / 1024) as f64);
            out.num("peak_procs", peak.procs as f64);
        }
        out.num("disk_written_mb", (end.written_bytes - self.start.written_bytes) / 1e6);
        out.num("disk_bytes_per_msg", per(end.written_bytes - self.start.written_bytes).round());
        out.num("disk_writes_per_msg", per(end.write_ios - self.start.write_ios));
        out.num("disk_flushes_per_msg", per(end.flushes - self.start.flushes));
    }
}
