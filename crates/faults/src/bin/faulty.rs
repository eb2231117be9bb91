//! The program with failpoints, which are set by the environment: `FAILPOINTS`.

fn main() -> std::process::ExitCode {
    cacheroach_store::failpoint::setup();
    cacheroach::main()
}
