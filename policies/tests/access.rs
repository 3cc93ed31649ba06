//! Who may do what, as one table per kind of principal that a reviewer can read.

use cloister_policies::access::{Action, Engine, Error, Principal, Resource, Role, Shape};
use cloister_policies::shipped;

const ORG: &str = "org_a";
const WORKSPACE: &str = "ws_a";
const PERSON: &str = "per_a";

fn engine() -> Engine {
    Engine::shipped().expect("the shipped policies are valid")
}

/// A resource of the shape that the action wants.
fn resource(action: Action, org: &str, workspace: &str, owner: &str) -> Resource {
    let (org, workspace, owner) = (org.to_owned(), workspace.to_owned(), owner.to_owned());
    match action.shape() {
        Shape::Organisation => Resource::Organisation { org },
        Shape::Workspace => Resource::Workspace { org, workspace },
        Shape::Personal => Resource::Personal { org, workspace: Some(workspace), owner },
    }
}

fn columns() -> [(&'static str, Principal); 6] {
    let person = |role| Principal::person(PERSON, ORG, role);
    [
        ("owner", person(Role::Owner)),
        ("member", person(Role::Member)),
        ("auditor", person(Role::Auditor)),
        ("owner's key", person(Role::Owner).through_api_key("key_a", WORKSPACE)),
        ("member's key", person(Role::Member).through_api_key("key_a", WORKSPACE)),
        ("auditor's key", person(Role::Auditor).through_api_key("key_a", WORKSPACE)),
    ]
}

#[test]
fn s0_05_every_role_and_action_is_as_the_golden_table_says() {
    let engine = engine();
    let mut table = format!("{:<20}", "action");
    for (name, _) in columns() {
        table += &format!("{name:<15}");
    }
    table = table.trim_end().to_owned() + "\n";
    for &action in Action::ALL {
        let mut line = format!("{:<20}", action.name());
        for (_, principal) in columns() {
            let decision = engine.decide(&principal, action, &resource(action, ORG, WORKSPACE, PERSON));
            line += &format!("{:<15}", if decision.is_allow() { "yes" } else { "-" });
        }
        table += line.trim_end();
        table.push('\n');
    }
    assert_eq!(table, include_str!("access.golden"), "\n{table}");
}

#[test]
fn nothing_of_another_organisation_is_reachable_by_anybody() {
    let engine = engine();
    for (name, principal) in columns() {
        for &action in Action::ALL {
            for workspace in [WORKSPACE, "ws_b"] {
                let foreign = resource(action, "org_b", workspace, PERSON);
                // An API key's own workspace cannot be in two organisations; the store never says so.
                if name.ends_with("key") && workspace == WORKSPACE {
                    continue;
                }
                assert!(!engine.decide(&principal, action, &foreign).is_allow(), "{name} {}", action.name());
            }
        }
    }
}

#[test]
fn what_belongs_to_a_person_is_closed_even_to_owners() {
    let engine = engine();
    for (name, principal) in columns() {
        for &action in Action::ALL.iter().filter(|a| a.shape() == Shape::Personal) {
            let other = resource(action, ORG, WORKSPACE, "per_b");
            assert!(!engine.decide(&principal, action, &other).is_allow(), "{name} {}", action.name());
        }
    }
}

#[test]
fn an_api_key_stays_in_its_workspace() {
    let engine = engine();
    let key = Principal::person(PERSON, ORG, Role::Owner).through_api_key("key_a", WORKSPACE);
    // Whether it is valid, and how long the audit log is, any key may ask.
    let anywhere = [Action::VerifyCredential, Action::ReadCheckpoint];
    for &action in Action::ALL.iter().filter(|action| !anywhere.contains(action)) {
        let elsewhere = resource(action, ORG, "ws_b", PERSON);
        assert!(!engine.decide(&key, action, &elsewhere).is_allow(), "{}", action.name());
    }
}

#[test]
fn an_action_on_the_wrong_shape_is_denied() {
    let owner = Principal::person(PERSON, ORG, Role::Owner);
    let organisation = Resource::Organisation { org: ORG.into() };
    assert!(!engine().decide(&owner, Action::UploadDocument, &organisation).is_allow());
}

#[test]
fn hostile_ids_are_data_and_not_policy() {
    let engine = engine();
    for id in ["", "\"", "*", "org_a\0", "Cloister::Organisation::\"org_a\"", "\u{202e}org_a"] {
        let stranger = Principal::person(PERSON, id, Role::Owner);
        for &action in Action::ALL {
            assert!(!engine.decide(&stranger, action, &resource(action, ORG, WORKSPACE, PERSON)).is_allow());
        }
    }
}

#[test]
fn without_policies_everything_is_denied() {
    let engine = Engine::load(shipped::ACCESS_SCHEMA, &[]).expect("no policies are valid policies");
    for (_, principal) in columns() {
        for &action in Action::ALL {
            assert!(!engine.decide(&principal, action, &resource(action, ORG, WORKSPACE, PERSON)).is_allow());
        }
    }
}

#[test]
fn policies_that_do_not_fit_are_refused_at_load() {
    let load = |text: &'static str| Engine::load(shipped::ACCESS_SCHEMA, &[("x.cedar", text)]);
    assert!(matches!(load("permit (principal"), Err(Error::Policy { .. })));
    assert!(matches!(load("permit (principal, action, resource);"), Err(Error::Policy { .. })), "no @id");
    let typo = r#"@id("a") permit (principal, action == Cloister::Action::"exportAudits", resource);"#;
    assert!(matches!(load(typo), Err(Error::Validation(_))));
    let twice = r#"@id("a") permit (principal is Cloister::Person, action in Cloister::Action::"audit", resource);
                   @id("a") permit (principal is Cloister::Person, action in Cloister::Action::"keys", resource);"#;
    assert!(matches!(load(twice), Err(Error::Policy { .. })));
    assert!(matches!(Engine::load("namespace", &[]), Err(Error::Schema(_))));
    assert!(matches!(Engine::load("namespace Cloister { entity Person; }", &[]), Err(Error::MissingAction(_))));
}

#[test]
fn every_policy_and_prompt_file_is_measured() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["access", "appraisal", "prompts"] {
        for entry in std::fs::read_dir(root.join(folder)).into_iter().flatten() {
            let path = entry.expect("readable").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
            found.push((format!("{folder}/{name}"), std::fs::read_to_string(&path).expect("text")));
        }
    }
    found.sort();
    let shipped: Vec<_> = shipped::FILES.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    let names = |files: &[(String, String)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&shipped), "add the file to policies/src/shipped.rs");
    assert!(found == shipped, "built from other texts");
}
