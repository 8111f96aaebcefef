//! Makes the message types from `proto/*.proto`, without a compiler outside of the workspace.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FILES: [&str; 12] = [
        "proto/common.proto",
        "proto/store.proto",
        "proto/directory.proto",
        "proto/queue.proto",
        "proto/manager.proto",
        "proto/configuration.proto",
        "proto/provision.proto",
        "proto/cache.proto",
        "proto/maintenance.proto",
        "proto/backup.proto",
        "proto/ownership.proto",
        "proto/probe.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        .skip_debug([".intermail.v1.Login", ".intermail.v1.ScramKeySet", ".intermail.v1.NewPassword"])
        .compile_fds(descriptors)?;
    Ok(())
}
