//! Registration: an enrolment code and a password that the server never sees become an account.
//!
//! The code is used up by the last message and not before, in the same atomic write as the account, so that of two
//! who use the same code exactly one gets in. The first owner's code also makes the organisation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloister_protocol::api::{RegisterFinish, RegisterStart, RegisterStarted, Registered, Role};
use cloister_protocol::ids::{OrgId, PersonId, WorkspaceId};

use super::login::LoginName;
use super::opaque::Record;
use super::records::{
    ACCOUNTS, AccountRecord, AccountStatus, ENROLMENTS, EnrolmentRecord, LOGIN_INDEX, LoginIndexRecord,
};
use super::token::Token;
use super::{Error, Identity};
use crate::audit::{Class, Event};
use crate::fresh;
use crate::store::{self, Batch, Version};

/// An enrolment that may be used now.
struct Open {
    key: String,
    record: EnrolmentRecord,
    version: Version,
}

impl Identity {
    /// Answers the first message of a registration. Says nothing about whether the login name is taken.
    ///
    /// # Errors
    /// [`Error::UnknownEnrolment`], [`Error::Login`], [`Error::Opaque`], [`Error::Store`].
    pub fn start_registration(&self, request: &RegisterStart) -> Result<RegisterStarted, Error> {
        let login: LoginName = request.login.parse()?;
        self.open_enrolment(&request.enrolment_code, self.now_ms())?;
        Ok(RegisterStarted {
            registration_response: self.setup.start_registration(&login, &request.registration_request)?,
            server_public_key: URL_SAFE_NO_PAD.encode(self.setup.public_key()),
        })
    }

    /// Makes the account and uses the code up.
    ///
    /// # Errors
    /// As [`Self::start_registration`], and [`Error::LoginTaken`]; then the code stays valid.
    pub async fn finish_registration(&self, request: &RegisterFinish) -> Result<Registered, Error> {
        let now_ms = self.now_ms();
        let login: LoginName = request.login.parse()?;
        let record = Record::parse(&request.registration_record)?;
        let open = self.open_enrolment(&request.enrolment_code, now_ms)?;
        let person = fresh::id(PersonId::from_parts, now_ms);
        let org = open.record.org.unwrap_or_else(|| fresh::id(OrgId::from_parts, now_ms));
        let account = AccountRecord {
            login: login.expose_typed().to_owned(),
            opaque_record: record.encode(),
            ksf: request.ksf,
            status: AccountStatus::Approved,
            org,
            created_ms: now_ms,
        };
        let batch = self.registration(&open, &login, person, &account)?;
        match batch.commit().await {
            Ok(_) => Ok(Registered { person_id: person, org_id: org, role: open.record.role }),
            // Two that race for one code, or for one name: the loser hears what a latecomer would hear.
            Err(store::Error::Conflict { collection }) if collection == LOGIN_INDEX.name() => Err(Error::LoginTaken),
            Err(store::Error::Conflict { .. }) => Err(Error::UnknownEnrolment),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that a registration writes.
    fn registration(
        &self,
        open: &Open,
        login: &LoginName,
        person: PersonId,
        account: &AccountRecord,
    ) -> Result<Batch, Error> {
        let (org, role, now_ms) = (account.org, open.record.role, account.created_ms);
        let index = hex::encode(self.setup.login_index(login));
        let mut system = self.system().batch();
        system
            .expect_version(&ENROLMENTS, &open.key, open.version)
            .expect_absent(&LOGIN_INDEX, &index)
            .delete(&ENROLMENTS, &open.key)
            .put(&LOGIN_INDEX, &index, &LoginIndexRecord { person })
            .put(&ACCOUNTS, &person.to_string(), account);
        if open.record.org.is_none() {
            let workspace = fresh::id(WorkspaceId::from_parts, now_ms);
            let names = (self.settings.organisation_name.as_str(), self.settings.workspace_name.as_str());
            system.join(self.tenancy.found(org, workspace, names, person, now_ms)?);
        }
        let redeemed = Event::new(Class::AccountCreated, "account.register")
            .by(person)
            .detail("enrolment", open.record.id.to_string())
            .detail("role", role_name(role))
            .personal("login", login.expose_typed());
        system.join(self.tenancy.admit(org, person, role, now_ms, redeemed));
        Ok(system)
    }

    fn open_enrolment(&self, code: &str, now_ms: u64) -> Result<Open, Error> {
        let key = Token::<16>::parse(code).ok_or(Error::UnknownEnrolment)?.digest().key();
        match self.system().get_versioned(&ENROLMENTS, &key)? {
            Some((record, version)) if now_ms < record.expires_ms => Ok(Open { key, record, version }),
            Some(_) | None => Err(Error::UnknownEnrolment),
        }
    }
}

/// The name of a role in audit leaves.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
        Role::Auditor => "auditor",
    }
}
