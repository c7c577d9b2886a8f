//! A Rust client with roots of its own choice: those that it brings with it, as many do, or the system's.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let native = arguments.first().is_some_and(|argument| argument == "--native");
    let client = reqwest::Client::builder()
        .tls_built_in_native_certs(native)
        .tls_built_in_webpki_certs(!native)
        .build()
        .unwrap();
    match client.get(arguments.last().expect("an address")).send().await {
        Ok(answer) => print!("{}", answer.text().await.unwrap()),
        Err(error) => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(next) = cause.source() {
                cause = next;
            }
            eprintln!("{cause}");
            std::process::exit(1);
        }
    }
}
