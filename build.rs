//! Generates the executor protocol from `proto/executor.proto`, without a `protoc` on the machine.

#[cfg_attr(not(feature = "full"), allow(clippy::unnecessary_wraps, reason = "only the protocol can fail"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "full")]
    {
        println!("cargo:rerun-if-changed=proto/executor.proto");
        let descriptors = protox::compile(["proto/executor.proto"], ["proto"])?;
        tonic_prost_build::configure().compile_fds(descriptors)?;
    }
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
