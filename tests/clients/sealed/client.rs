//! A Rust client that knows nothing of authy-mcp: reqwest, with the roots and the proxy of its environment.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let host = std::env::args().nth(1).expect("a host");
    let client = reqwest::Client::new();
    for path in ["/one", "/two"] {
        let answer = client.get(format!("{host}{path}")).send().await.unwrap().error_for_status().unwrap();
        println!("{:?} {}", answer.version(), answer.text().await.unwrap());
    }
}
