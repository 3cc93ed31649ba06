//! Registration and login as a client sees them.

mod enrolled;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_enclave::access::{Action, Target};
use cloister_enclave::identity::login::LoginName;
use cloister_enclave::identity::{Error, opaque};
use cloister_protocol::api::{
    CreateEnrolment, KsfId, LoginFinish, LoginParamsRequest, LoginStart, RegisterStart, Role,
};
use cloister_protocol::ids::LoginId;
use enrolled::{MINUTE_MS, PASSWORD, World, encode};
use proptest::prelude::*;

#[tokio::test]
async fn c_02_a_registered_person_logs_in_with_the_same_password() {
    let world = World::new();
    let owner = world.owner("Ada").await;
    assert_eq!(owner.role, Role::Owner);
    let (who, _) = world.login("ada", PASSWORD).await.expect("names are compared folded");
    assert_eq!((who.person_id, who.org_id, who.role), (owner.person_id, owner.org_id, Role::Owner));
    assert_eq!(who.org_name, "Organisation");
}

#[tokio::test]
async fn s1_07_a_session_is_named_by_32_random_bytes() {
    let world = World::new();
    world.owner("ada").await;
    let (first, _) = world.login("ada", PASSWORD).await.expect("logged in");
    let (second, _) = world.login("ada", PASSWORD).await.expect("logged in");
    assert_eq!(URL_SAFE_NO_PAD.decode(&first.session).expect("base64url").len(), 32);
    assert_ne!(first.session, second.session);
}

#[tokio::test]
async fn s0_01_a_wrong_password_and_an_unknown_name_look_the_same() {
    let world = World::new();
    world.owner("ada").await;
    let (mut lengths, mut params) = (Vec::new(), Vec::new());
    for login in ["ada", "nobody"] {
        let started = world.identity.start_login(&ke1(login), None).await.expect("answered");
        lengths.push(started.login_response.len());
        assert_eq!(URL_SAFE_NO_PAD.decode(&started.login_response).expect("base64url").len(), 320);
        let finish = LoginFinish { login_id: started.login_id, finish_login_request: encode(&[7; 64]) };
        assert!(matches!(world.identity.finish_login(&finish).await, Err(Error::LoginFailed)));
        assert!(world.prove(login, "wrong", None).await.expect("answered").is_none());
        let asked = LoginParamsRequest { login: login.to_owned() };
        params.push(world.identity.login_params(&asked).expect("answered"));
    }
    assert_eq!(lengths[0], lengths[1]);
    assert_eq!(params[0], params[1]);
    assert_eq!(params[0].ksf, KsfId::MemoryConstrained);
}

#[tokio::test]
async fn a_login_is_finished_once() {
    let world = World::new();
    world.owner("ada").await;
    let (finish, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    world.identity.finish_login(&finish).await.expect("the first time");
    assert!(matches!(world.identity.finish_login(&finish).await, Err(Error::LoginFailed)));
}

#[tokio::test]
async fn a_login_is_finished_within_a_minute() {
    let world = World::new();
    world.owner("ada").await;
    let (finish, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    world.clock.advance_ms(MINUTE_MS);
    assert!(matches!(world.identity.finish_login(&finish).await, Err(Error::LoginFailed)));
}

#[tokio::test]
async fn the_last_message_of_one_login_does_not_finish_another() {
    let world = World::new();
    world.owner("ada").await;
    let (one, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    let (other, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    let mixed = LoginFinish { login_id: other.login_id, ..one };
    assert!(matches!(world.identity.finish_login(&mixed).await, Err(Error::LoginFailed)));
    let unknown = LoginFinish { login_id: LoginId::from_parts(1, 1), ..other };
    assert!(matches!(world.identity.finish_login(&unknown).await, Err(Error::LoginFailed)));
}

#[tokio::test]
async fn malformed_messages_of_every_length_are_refused() {
    let world = World::new();
    world.owner("ada").await;
    let code = invitation(&world).await;
    for length in 0..400 {
        for byte in [0, 0xff] {
            let text = encode(&vec![byte; length]);
            let start =
                RegisterStart { enrolment_code: code.clone(), login: "bob".into(), registration_request: text.clone() };
            assert!(matches!(world.identity.start_registration(&start), Err(Error::Opaque(opaque::Error::Malformed))));
            assert!(opaque::Record::parse(&text).is_err());
            let start = LoginStart { login: "bob".into(), start_login_request: text };
            let answer = world.identity.start_login(&start, None).await;
            assert!(matches!(answer, Err(Error::Opaque(opaque::Error::Malformed))), "{length}");
        }
    }
    // The right length, another spelling of it.
    for text in ["=".repeat(128), "é".repeat(64), format!("{}+", "A".repeat(127)), "A".repeat(127) + "B\n"] {
        let start = LoginStart { login: "bob".into(), start_login_request: text };
        assert!(world.identity.start_login(&start, None).await.is_err());
    }
}

#[tokio::test]
async fn a_truncated_last_message_uses_the_login_up() {
    let world = World::new();
    world.owner("ada").await;
    let (finish, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    let cut = LoginFinish { finish_login_request: finish.finish_login_request[..40].to_owned(), ..finish.clone() };
    assert!(matches!(world.identity.finish_login(&cut).await, Err(Error::Opaque(opaque::Error::Malformed))));
    assert!(matches!(world.identity.finish_login(&finish).await, Err(Error::LoginFailed)));
}

#[tokio::test]
async fn c_04_an_enrolment_code_is_good_once() {
    let world = World::new();
    world.owner("ada").await;
    let code = invitation(&world).await;
    let bob = world.register(&code, "bob", PASSWORD).await.expect("fresh");
    assert_eq!(bob.role, Role::Member);
    assert!(matches!(world.register(&code, "carol", PASSWORD).await, Err(Error::UnknownEnrolment)));
}

#[tokio::test]
async fn of_two_who_finish_with_one_code_exactly_one_gets_in() {
    let world = World::new();
    world.owner("ada").await;
    for round in 0..10 {
        let code = invitation(&world).await;
        let names = [format!("bob{round}"), format!("carol{round}")];
        let one = world.prepare(&code, &names[0], PASSWORD).expect("open");
        let other = world.prepare(&code, &names[1], PASSWORD).expect("open");
        let (one, other) =
            tokio::join!(world.identity.finish_registration(&one), world.identity.finish_registration(&other));
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
        let loser = if one.is_ok() { &names[1] } else { &names[0] };
        assert!(matches!(world.login(loser, PASSWORD).await, Err(Error::LoginFailed)));
        world.clock.advance_ms(MINUTE_MS);
    }
}

#[tokio::test]
async fn s1_12_codes_expire() {
    let world = World::new();
    let first = world.identity.first_owner_code().await.expect("answered").expect("no owner yet");
    world.clock.advance_ms(24 * 60 * MINUTE_MS);
    assert!(matches!(world.register(&first.code, "ada", PASSWORD).await, Err(Error::UnknownEnrolment)));
    world.owner("ada").await;
    let code = invitation(&world).await;
    let prepared = world.prepare(&code, "bob", PASSWORD).expect("open");
    world.clock.advance_ms(15 * MINUTE_MS);
    assert!(matches!(world.identity.finish_registration(&prepared).await, Err(Error::UnknownEnrolment)));
}

#[tokio::test]
async fn only_the_newest_link_of_the_first_owner_works_and_there_is_one_first_owner() {
    let world = World::new();
    let old = world.identity.first_owner_code().await.expect("answered").expect("no owner yet");
    let new = world.identity.first_owner_code().await.expect("answered").expect("no owner yet");
    assert!(matches!(world.register(&old.code, "ada", PASSWORD).await, Err(Error::UnknownEnrolment)));
    world.register(&new.code, "ada", PASSWORD).await.expect("the newest");
    assert!(world.identity.first_owner_code().await.expect("answered").is_none());
}

#[tokio::test]
async fn a_taken_login_name_is_told_late_and_leaves_the_code_valid() {
    let world = World::new();
    world.owner("ada").await;
    let code = invitation(&world).await;
    let taken = world.prepare(&code, "ADA", PASSWORD).expect("the start does not tell");
    assert!(matches!(world.identity.finish_registration(&taken).await, Err(Error::LoginTaken)));
    world.register(&code, "bob", PASSWORD).await.expect("the code is still good");
}

#[tokio::test]
async fn enrolment_codes_of_any_other_form_are_unknown() {
    let world = World::new();
    for code in ["", "A", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "\u{0}", "../../etc/passwd"] {
        assert!(matches!(world.register(code, "ada", PASSWORD).await, Err(Error::UnknownEnrolment)));
    }
}

#[tokio::test]
async fn s1_13_neither_name_nor_password_nor_code_stands_on_the_disk() {
    let dir = {
        let world = World::new();
        let code = world.identity.first_owner_code().await.expect("answered").expect("no owner yet").code;
        world.register(&code, "distinctive.login", PASSWORD).await.expect("fresh");
        let (who, _) = world.login("distinctive.login", PASSWORD).await.expect("logged in");
        let needles = [code, who.session, "distinctive.login".to_owned(), PASSWORD.to_owned()];
        (world.into_files().await, needles)
    };
    let (files, needles) = dir;
    assert!(!files.is_empty());
    for needle in needles {
        let found = files.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "plaintext on the disk");
    }
}

#[test]
fn login_names_that_look_alike_are_one() {
    let same =
        [("Ada", "ada"), ("STRASSE", "straße"), ("ﬁona", "fiona"), ("e\u{301}mile", "émile"), ("ΣΊΣΥΦΟΣ", "σίσυφος")];
    for (one, other) in same {
        let (one, other): (LoginName, LoginName) = (one.parse().expect("a name"), other.parse().expect("a name"));
        assert_eq!(one.expose_folded(), other.expose_folded());
        assert_eq!(format!("{one:?}"), "LoginName(…)");
    }
    for bad in ["", " ada", "ada ", "a b", ".ada", "a\0", "a\u{202e}b", "a\u{200b}b", "a/b", "<ada>", &"a".repeat(129)]
    {
        assert!(bad.parse::<LoginName>().is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn a_folded_login_name_is_its_own_fold(text in "\\PC{0,40}") {
        if let Ok(name) = text.parse::<LoginName>() {
            let again: LoginName = name.expose_folded().parse().expect("its alphabet is the same");
            prop_assert_eq!(again.expose_folded(), name.expose_folded());
        }
    }
}

fn ke1(login: &str) -> LoginStart {
    let started = opaque_ke::ClientLogin::<opaque::Suite>::start(&mut rand_core::OsRng, b"x").expect("randomness");
    LoginStart { login: login.to_owned(), start_login_request: encode(&started.message.serialize()) }
}

async fn invitation(world: &World) -> String {
    let (who, _) = world.login("ada", PASSWORD).await.expect("the owner logs in");
    let owner = cloister_protocol::api::Registered { person_id: who.person_id, org_id: who.org_id, role: who.role };
    let owner = world.authorize(&owner, Action::CreateEnrolment, Target::Organisation);
    world
        .identity
        .create_enrolment(&owner, &CreateEnrolment { role: Role::Member })
        .await
        .expect("an owner invites")
        .code
}
