//! How often a password may be guessed, and that guessing locks nobody out for good.

mod enrolled;

use std::net::{IpAddr, Ipv4Addr};

use cloister_enclave::identity::Error;
use cloister_enclave::identity::guesses::{AccountGuesses, Guesses};
use enrolled::{MINUTE_MS, PASSWORD, World};
use proptest::prelude::*;

const HERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));

#[tokio::test]
async fn s2_05_five_guesses_in_five_minutes_for_known_and_unknown_names_alike() {
    let world = World::new();
    world.owner("ada").await;
    for login in ["ada", "nobody"] {
        for _ in 0..5 {
            assert!(world.prove(login, "wrong", HERE).await.expect("answered").is_none());
        }
        assert!(
            matches!(world.prove(login, "wrong", HERE).await, Err(Error::TooMany(t)) if t.retry_after_ms == MINUTE_MS)
        );
    }
    // A stranger's guesses are not the owner's.
    assert!(world.prove("ada", PASSWORD, ELSEWHERE).await.expect("answered").is_some());
    world.clock.advance_ms(MINUTE_MS);
    assert!(world.prove("ada", "wrong", HERE).await.expect("one more").is_none());
    world.clock.advance_ms(MINUTE_MS);
    assert!(matches!(world.prove("ada", "wrong", HERE).await, Err(Error::TooMany(_))), "the wait has doubled");
    world.clock.advance_ms(MINUTE_MS);
    assert!(world.prove("ada", PASSWORD, HERE).await.expect("never for good").is_some());
}

#[tokio::test]
async fn a_good_login_takes_the_guesses_back() {
    let world = World::new();
    world.owner("ada").await;
    for _ in 0..12 {
        for _ in 0..4 {
            assert!(world.prove("ada", "wrong", HERE).await.expect("answered").is_none());
        }
        let (finish, _) = world.prove("ada", PASSWORD, HERE).await.expect("the fifth").expect("right");
        world.identity.finish_login(&finish).await.expect("logged in");
        world.clock.advance_ms(5 * MINUTE_MS);
    }
}

#[tokio::test]
async fn all_sources_together_have_thirty_guesses_and_a_restart_gives_no_new_ones() {
    let mut world = World::new();
    world.owner("ada").await;
    let source = |n: u8| Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, n)));
    for n in 0..30 {
        assert!(world.prove("ada", "wrong", source(n)).await.expect("answered").is_none());
    }
    assert!(matches!(world.prove("ada", PASSWORD, source(30)).await, Err(Error::TooMany(_))));
    world = world.restart().await;
    assert!(matches!(world.prove("ada", PASSWORD, source(31)).await, Err(Error::TooMany(_))));
    world.clock.advance_ms(MINUTE_MS);
    assert!(world.prove("ada", PASSWORD, source(32)).await.expect("one a minute").is_some());
}

#[test]
fn the_server_s_own_work_is_bounded() {
    let mut guesses = Guesses::default();
    let account = |n: u32| {
        let mut account = [0; 32];
        account[..4].copy_from_slice(&n.to_be_bytes());
        account
    };
    let answered = (0..1000).filter(|n| guesses.count(account(*n), HERE, 1_000_000).is_ok()).count();
    assert_eq!(answered, 120);
    let answered = (0..1000).filter(|n| guesses.count(account(*n), HERE, 1_000_000 + MINUTE_MS).is_ok()).count();
    assert_eq!(answered, 120);
}

proptest! {
    #[test]
    fn an_account_is_never_locked_for_longer_than_a_minute(steps in proptest::collection::vec(0u64..200_000, 1..300)) {
        let (mut guesses, mut now_ms) = (AccountGuesses::default(), 1_000_000);
        for step in steps {
            now_ms += step;
            match guesses.count(now_ms) {
                Ok(next) => guesses = next,
                Err(too_many) => {
                    prop_assert!(too_many.retry_after_ms <= MINUTE_MS);
                    now_ms += too_many.retry_after_ms;
                    guesses = guesses.count(now_ms).expect("as promised");
                }
            }
        }
    }

    #[test]
    fn a_source_waits_an_hour_at_most(steps in proptest::collection::vec(0u64..4_000_000, 1..100)) {
        let (mut guesses, mut now_ms) = (Guesses::default(), 1_000_000);
        for step in steps {
            now_ms += step;
            if let Err(too_many) = guesses.count([1; 32], HERE, now_ms) {
                prop_assert!(too_many.retry_after_ms <= 60 * MINUTE_MS);
                now_ms += too_many.retry_after_ms;
                prop_assert!(guesses.count([1; 32], HERE, now_ms).is_ok());
            }
        }
    }

    #[test]
    fn a_clock_that_goes_backwards_harms_nobody(times in proptest::collection::vec(any::<u64>(), 1..100)) {
        let (mut guesses, mut account) = (Guesses::default(), AccountGuesses::default());
        for now_ms in times {
            let _ = guesses.count([1; 32], None, now_ms);
            if let Ok(next) = account.count(now_ms) {
                account = next;
            }
        }
    }
}
