//! Wrong keys, and what they cost whom.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};

use super::{assert_refused, keys::Keyed};
use crate::keys::Scope;

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_where_it_comes_from() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let shop = keyed.key("shop", Scope::Read, &[]);
    let (attacker, other) = ([192, 0, 2, 66], [192, 0, 2, 1]);
    let mut guesses = 0;
    let slowed = loop {
        let guess = keyed
            .status_from(attacker, &format!("guess{guesses}"))
            .await;
        if guess.status != StatusCode::UNAUTHORIZED {
            break guess;
        }
        guesses += 1;
        assert!(guesses < 100, "nobody slows them");
    };
    assert!(
        guesses >= 10,
        "a person mistypes more often than {guesses} times"
    );
    assert_refused(&slowed, 429, "TOO_MANY_ATTEMPTS");
    let seconds: u64 = slowed.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // The right one is not told from a wrong one, or guessing would go on.
    assert_refused(
        &keyed.status_from(attacker, "s3cret").await,
        429,
        "TOO_MANY_ATTEMPTS",
    );
    // One that cannot be guessed is taken all the same, and who gives none gives no wrong one.
    assert_eq!(
        keyed.status_from(attacker, &shop).await.status,
        StatusCode::OK
    );
    assert_refused(&keyed.status_from(attacker, "").await, 401, "UNAUTHORIZED");
    assert_eq!(
        keyed.status_from(other, "s3cret").await.status,
        StatusCode::OK
    );
    tokio::time::advance(Duration::from_secs(seconds)).await;
    assert_eq!(
        keyed.status_from(attacker, "s3cret").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn asking_without_a_key_is_no_guess() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    for _ in 0..100 {
        assert_refused(&keyed.get("/status", "").await, 401, "UNAUTHORIZED");
    }
    assert_eq!(keyed.get("/status", "s3cret").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_old_key_that_is_asked_with_again_and_again_locks_nobody_out() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let address = [192, 0, 2, 1];
    for _ in 0..100 {
        for old in ["old", "older"] {
            assert_refused(&keyed.status_from(address, old).await, 401, "UNAUTHORIZED");
        }
    }
    let backend = keyed.status_from(address, "s3cret").await;
    assert_eq!(backend.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_key_beside_a_known_one_is_a_guess_that_counts_and_tells_nothing() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let shop = keyed.key("shop", Scope::Read, &[]);
    let expired = keyed.expired("expired");
    let both = async |own: &str, bearer: &str| {
        let request = Request::get("/status")
            .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 66], 4000))))
            .header("X-Api-Key", own)
            .header("Authorization", format!("Bearer {bearer}"));
        let request = request.body(Body::empty()).unwrap();
        keyed.api.call(request).await
    };
    // The same one twice is one.
    assert_eq!(both("s3cret", "s3cret").await.status, StatusCode::OK);
    for known in [&shop, &expired] {
        for number in 0..20 {
            let guess = format!("guess{number}");
            assert_refused(&both(known, &guess).await, 400, "TWO_KEYS");
            assert_refused(&both(&guess, known).await, 400, "TWO_KEYS");
        }
        // A right guess is answered as a wrong one.
        assert_refused(&both(known, "s3cret").await, 400, "TWO_KEYS");
    }
    let attacker = [192, 0, 2, 66];
    let next = keyed.status_from(attacker, "s3cret").await;
    assert_refused(&next, 429, "TOO_MANY_ATTEMPTS");
    let twice = Request::get("/status")
        .header("X-Api-Key", &shop)
        .header("X-Api-Key", "guess");
    let twice = keyed.api.call(twice.body(Body::empty()).unwrap()).await;
    assert_refused(&twice, 400, "TWO_KEYS");
    // Who is asked for no key may carry what he likes.
    let open = super::Api::new(&[]);
    let request = Request::get("/status")
        .header("X-Api-Key", "one")
        .header("Authorization", "Bearer other");
    let answer = open.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn behind_a_proxy_each_caller_counts_for_itself() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret"), ("TRUSTED_PROXIES", "1")]);
    let from = async |client: &str, key: &str| {
        let request = Request::get("/status")
            .extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4000))))
            .header("X-Forwarded-For", format!("198.51.100.250, {client}"))
            .header("X-Api-Key", key);
        keyed
            .api
            .call(request.body(Body::empty()).unwrap())
            .await
            .status
    };
    for number in 0..100 {
        from("203.0.113.66", &format!("guess{number}")).await;
    }
    assert_eq!(
        from("203.0.113.66", "s3cret").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(from("203.0.113.1", "s3cret").await, StatusCode::OK);
}
