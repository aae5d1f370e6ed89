//! An open loop with goose and nothing else: `goose-alone URL RATE SECONDS USERS`.
//!
//! goose has no arrival schedule: its users loop as fast as they are answered, or wait between requests. The nearest to an
//! open loop that one writes with it is this: users draw the next arrival from one counter, sleep on tokio's timer until it
//! is due, and send. goose's own metrics are off, which makes it faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goose::client::GooseClientBuilder;
use goose::prelude::*;
use tokio::time::{Instant, sleep, sleep_until};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, rate, seconds, users] = arguments.as_slice() else {
        return Err("usage: goose-alone URL RATE SECONDS USERS".into());
    };
    let (rate, seconds): (f64, f64) = (rate.parse()?, seconds.parse()?);
    let requests = (rate * seconds) as u64;
    let next = Arc::new(AtomicU64::new(0));
    // All users are there by then.
    let begins = Instant::now() + Duration::from_millis(500);

    let function: TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let next = Arc::clone(&next);
        Box::pin(async move {
            loop {
                let arrival = next.fetch_add(1, Ordering::Relaxed);
                if arrival >= requests {
                    break;
                }
                sleep_until(begins + Duration::from_secs_f64(arrival as f64 / rate)).await;
                if let Ok(answer) = user.get("/orders").await?.response {
                    // As ours, it reads the answer to its end. What comes of it is not asked.
                    let _ = answer.bytes().await;
                }
            }
            // goose calls this again until it is told to end; others may still wait for their answers.
            sleep(Duration::from_millis(500)).await;
            goose::trigger_killswitch("all arrivals are sent");
            Ok(())
        })
    });
    let configuration = [
        "--host",
        url,
        "--users",
        users,
        "--increase-rate",
        "100000",
        "--no-telnet",
        "--no-metrics",
        "--no-print-metrics",
        "--accept-invalid-certs",
        "-qqq",
    ];
    let configuration = goose::config::GooseConfiguration::parse_args_default(&configuration)?;
    let scenario = Scenario::new("open loop").register_transaction(Transaction::new(function));
    GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?
        .register_scenario(scenario)
        .execute()
        .await?;
    Ok(())
}
