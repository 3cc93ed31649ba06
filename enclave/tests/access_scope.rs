//! Who gets a tenant scope, and what is written down about it.

mod enrolled;

use cloister_enclave::access::scope::danger;
use cloister_enclave::access::{Action, Caller, Error, Target};
use cloister_enclave::identity::token::Token;
use cloister_enclave::identity::{Authenticated, Credential};
use cloister_enclave::tenancy;
use cloister_protocol::api::{
    Assistant, CreateAssistant, CreateEnrolment, CreateWorkspace, LoginFinish, Registered, Role, Workspace,
};
use cloister_protocol::ids::{ApiKeyId, AssistantId, OrgId, PersonId, WorkspaceId};
use enrolled::{MINUTE_MS, PASSWORD, World, encode};
use serde_json::Value;

async fn workspace(world: &World, owner: &Registered, name: &str) -> Workspace {
    let by = world.authorize(owner, Action::CreateWorkspace, Target::Organisation);
    world.identity.tenancy().create_workspace(&by, &CreateWorkspace { name: name.into() }).await.expect("made")
}

async fn assistant(world: &World, owner: &Registered, workspace: WorkspaceId) -> Assistant {
    let by = world.authorize(owner, Action::CreateAssistant, Target::Workspace(workspace));
    let request = CreateAssistant { name: "Clerk".into(), purpose: "Answers.".into(), document_ids: None };
    world.identity.tenancy().create_assistant(&by, request).await.expect("made")
}

fn through_key(world: &World, who: &Registered, workspace: WorkspaceId) -> Caller {
    let credential = Credential::ApiKey(ApiKeyId::from_parts(1, 1), workspace);
    world.caller(Authenticated { person: who.person_id, org: who.org_id, credential })
}

#[tokio::test]
async fn the_first_owner_finds_an_organisation_with_one_workspace() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let by = world.authorize(&owner, Action::ListWorkspaces, Target::Organisation);
    let names: Vec<_> =
        world.identity.tenancy().workspaces(&by).expect("readable").into_iter().map(|w| w.name).collect();
    assert_eq!(names, ["General"]);
    assert_eq!(by.scope(), &danger::unauthorized_org(owner.org_id));
}

#[tokio::test]
async fn unknown_and_foreign_workspaces_look_the_same() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let auditor = world.invited(&owner, "eve", Role::Auditor).await;
    let unknown = WorkspaceId::from_parts(1, 1);
    for who in [&owner, &auditor] {
        for target in [Target::Workspace(unknown), Target::OwnIn(unknown)] {
            let answer = world.session_of(who).authorize(Action::ListDocuments, target);
            assert!(matches!(answer, Err(Error::NotFound)));
        }
    }
}

#[tokio::test]
async fn s0_05_the_role_is_looked_up_for_every_request() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let own = workspace(&world, &owner, "Research").await.id;
    let member = world.invited(&owner, "bob", Role::Member).await;
    let auditor = world.invited(&owner, "eve", Role::Auditor).await;
    let allowed = |who: &Registered, action, target| match world.session_of(who).authorize(action, target) {
        Ok(_) => true,
        Err(Error::Forbidden) => false,
        Err(other) => panic!("{other}"),
    };
    assert!(allowed(&member, Action::UploadDocument, Target::Workspace(own)));
    assert!(!allowed(&member, Action::CreateEnrolment, Target::Organisation));
    assert!(!allowed(&member, Action::ExportAudit, Target::Organisation));
    assert!(!allowed(&auditor, Action::ListDocuments, Target::Workspace(own)));
    assert!(!allowed(&auditor, Action::ListWorkspaces, Target::Organisation));
    assert!(allowed(&auditor, Action::ExportAudit, Target::Organisation));
    assert!(allowed(&auditor, Action::ReadAccount, Target::Own));
    assert_eq!(
        world.session_of(&auditor).permissions(),
        ["readAccount", "endSession", "verifyCredential", "exportAudit", "readCheckpoint"]
    );

    let nobody = Authenticated {
        person: PersonId::from_parts(1, 1),
        org: owner.org_id,
        credential: Credential::Session(Token::<32>::generate().digest()),
    };
    assert!(matches!(world.access.caller(nobody), Err(Error::NoRole)));
    let elsewhere = Authenticated { person: owner.person_id, org: OrgId::from_parts(1, 1), ..nobody };
    assert!(matches!(world.access.caller(elsewhere), Err(Error::NoRole)));
}

#[tokio::test]
async fn an_api_key_reaches_its_workspace_and_no_other() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let (own, other) = (workspace(&world, &owner, "One").await.id, workspace(&world, &owner, "Other").await.id);
    let key = through_key(&world, &owner, own);
    assert!(key.authorize(Action::CompleteChat, Target::Workspace(own)).is_ok());
    assert!(key.authorize(Action::SearchMemory, Target::OwnIn(own)).is_ok());
    assert!(matches!(key.authorize(Action::CompleteChat, Target::Workspace(other)), Err(Error::Forbidden)));
    assert!(matches!(key.authorize(Action::SearchMemory, Target::OwnIn(other)), Err(Error::Forbidden)));
    assert!(matches!(key.authorize(Action::SearchMemory, Target::Own), Err(Error::Forbidden)));
    assert!(matches!(key.authorize(Action::CreateApiKey, Target::Workspace(own)), Err(Error::Forbidden)));
    assert!(matches!(key.authorize(Action::CreateEnrolment, Target::Organisation), Err(Error::Forbidden)));
    let by = key.authorize(Action::ListDocuments, Target::Workspace(own)).expect("permitted");
    assert!(by.owns(owner.person_id).is_ok());
    assert!(matches!(by.owns(PersonId::from_parts(1, 1)), Err(Error::NotFound)));
}

#[tokio::test]
async fn assistants_belong_to_their_workspace() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let (one, other) = (workspace(&world, &owner, "One").await.id, workspace(&world, &owner, "Other").await.id);
    let made = assistant(&world, &owner, one).await;
    let tenancy = world.identity.tenancy();
    let read = |workspace| world.authorize(&owner, Action::ReadAssistant, Target::Workspace(workspace));
    assert_eq!(tenancy.assistant(&read(one), made.id).expect("there"), made);
    assert_eq!(tenancy.assistants(&read(one)).expect("readable"), std::slice::from_ref(&made));
    assert!(matches!(tenancy.assistant(&read(other), made.id), Err(tenancy::Error::Unknown { .. })));
    let unknown = AssistantId::from_parts(1, 1);
    assert!(matches!(tenancy.assistant(&read(one), unknown), Err(tenancy::Error::Unknown { .. })));
    assert!(tenancy.assistants(&read(other)).expect("readable").is_empty());
}

#[tokio::test]
async fn names_and_purposes_have_bounds() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let by = world.authorize(&owner, Action::CreateWorkspace, Target::Organisation);
    for name in ["", " ", "a\nb", "a\0", &"a".repeat(201), &"\u{1d160}".repeat(60)] {
        let answer = world.identity.tenancy().create_workspace(&by, &CreateWorkspace { name: name.into() }).await;
        assert!(matches!(answer, Err(tenancy::Error::Text { field: "name" })), "{name:?}");
    }
    let own = workspace(&world, &owner, "  Caf\u{65}\u{301}  ").await;
    assert_eq!(own.name, "Café");
    let by = world.authorize(&owner, Action::CreateAssistant, Target::Workspace(own.id));
    let request = |purpose: &str| CreateAssistant { name: "A".into(), purpose: purpose.into(), document_ids: None };
    for purpose in ["\0", "a\u{1b}[2J", &"a".repeat(4001)] {
        let answer = world.identity.tenancy().create_assistant(&by, request(purpose)).await;
        assert!(matches!(answer, Err(tenancy::Error::Text { field: "purpose" })));
    }
    let made = world.identity.tenancy().create_assistant(&by, request("One.\r\nTwo.\tThree.")).await.expect("made");
    assert_eq!(made.purpose, "One.\nTwo.\tThree.");
}

/// The leaves of an organisation's log, as `operation/status` and the whole text.
fn leaves(world: &World, scope: &cloister_enclave::access::TenantScope) -> Vec<(String, String)> {
    let log = world.store.scope(scope).audit_log();
    let size = log.head().expect("readable").map_or(0, |head| head.size);
    let leaf = |index| {
        let text = String::from_utf8(log.leaf(index).expect("there")).expect("JSON");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let operation =
            json.pointer("/ocsf/metadata/event_code").and_then(Value::as_str).unwrap_or_default().to_owned();
        (format!("{operation}/{}", json.pointer("/ocsf/status_id").unwrap_or(&Value::Null)), text)
    };
    (0..size).map(leaf).collect()
}

#[tokio::test]
async fn every_change_leaves_a_record_and_no_record_holds_a_name_or_a_secret() {
    let world = World::new();
    let owner = world.owner("ada").await;
    let (session, _) = world.login("ada", PASSWORD).await.expect("logged in");
    assert!(world.prove("ada", "wrong", None).await.expect("answered").is_none());
    world.clock.advance_ms(MINUTE_MS);
    world.identity.sweep().await.expect("tidied up");
    let (finish, _) = world.prove("ada", PASSWORD, None).await.expect("answered").expect("right");
    let bad = LoginFinish { finish_login_request: encode(&[1; 64]), ..finish };
    world.identity.finish_login(&bad).await.expect_err("forged");
    let by = world.authorize(&owner, Action::CreateEnrolment, Target::Organisation);
    let request = CreateEnrolment { role: Role::Auditor };
    let enrolment = world.identity.create_enrolment(&by, &request).await.expect("an owner invites");
    let own = workspace(&world, &owner, "Secret plans").await.id;
    assistant(&world, &owner, own).await;
    let by = world.authorize(&owner, Action::CreateApiKey, Target::Workspace(own));
    let request = cloister_protocol::api::CreateApiKey { name: "nightly".into(), workspace_id: own };
    let key = world.identity.create_api_key(&by, &request).await.expect("made");
    let by = world.authorize(&owner, Action::RevokeApiKey, Target::Own);
    world.identity.revoke_api_key(&by, key.id).await.expect("revoked");
    let by = world.authorize(&owner, Action::EndSession, Target::Own);
    world.identity.end_session(&by).await.expect("ended");

    let leaves = leaves(&world, &danger::unauthorized_org(owner.org_id));
    let operations: Vec<_> = leaves.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(
        operations,
        [
            "log.genesis/1",
            "log.boot/1",
            "organisation.create/1",
            "workspace.create/1",
            "account.register/1",
            "auth.login/1",
            "auth.login/2",
            "auth.login/2",
            "enrolment.create/1",
            "workspace.create/1",
            "assistant.create/1",
            "api-key.create/1",
            "api-key.revoke/1",
            "auth.logout/1",
        ]
    );
    let log = world.store.scope(&danger::unauthorized_org(owner.org_id)).audit_log();
    let personal = log.personal(5, owner.person_id).expect("readable").expect("sealed for the person");
    assert_eq!(personal["login"], "ada");
    for (_, leaf) in leaves {
        let person = owner.person_id.to_string();
        for secret in ["\"ada\"", "Clerk", "plans", "nightly", &person, &session.session, &enrolment.code, &key.secret]
        {
            assert!(!leaf.contains(secret), "{secret} in {leaf}");
        }
    }
}

#[tokio::test]
async fn a_login_for_a_name_that_nobody_has_is_recorded_without_the_name() {
    let world = World::new();
    world.owner("ada").await;
    let started =
        opaque_ke::ClientLogin::<cloister_enclave::identity::opaque::Suite>::start(&mut rand_core::OsRng, b"x");
    let start = cloister_protocol::api::LoginStart {
        login: "nobody.at.all".into(),
        start_login_request: encode(&started.expect("randomness").message.serialize()),
    };
    let answer = world.identity.start_login(&start, None).await.expect("answered");
    let finish = LoginFinish { login_id: answer.login_id, finish_login_request: encode(&[1; 64]) };
    world.identity.finish_login(&finish).await.expect_err("forged");
    let leaves = leaves(&world, &danger::unauthorized_system());
    assert!(leaves.iter().any(|(operation, _)| operation == "auth.login/2"));
    assert!(leaves.iter().all(|(_, leaf)| !leaf.contains("nobody")));
}
