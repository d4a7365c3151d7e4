//! What happens to a group of an account: who is in it, who its admins are, what it is called.
//!
//! Responsible for: who may be in it, and the line that WhatsApp writes into its chat for each change. Not responsible for: reading
//! requests (`phone/groups`).
//!
//! Invariant: a change is in the journal before its line is brought.

use super::{
    Refusal, Server,
    mailbox::{Doer, bring, must_be_linked},
    now, random_digits,
};
use crate::{
    journal::Record,
    number::Number,
    stanza::{Chat, Content, Group, Notice},
    world::World,
};

/// What becomes of people in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    Add,
    /// By the link of the group.
    Join,
    Remove,
    Leave,
    Promote,
    Demote,
}

impl Act {
    const fn notice(self) -> Notice {
        match self {
            Self::Add => Notice::GroupAdd,
            Self::Join => Notice::GroupJoin,
            Self::Remove => Notice::GroupRemove,
            Self::Leave => Notice::GroupLeave,
            Self::Promote => Notice::GroupPromote,
            Self::Demote => Notice::GroupDemote,
        }
    }
}

impl Server {
    /// A person makes a group, and the account is added to it.
    pub(crate) fn group(
        &self,
        account: Number,
        name: String,
        participants: Vec<Number>,
    ) -> Result<Group, Refusal> {
        self.change(|world| {
            must_be_linked(world, &account)?;
            let group = Group {
                id: format!("120363{}", random_digits::<12>()),
                account: account.clone(),
                name,
                description: None,
                admins: participants.first().cloned().into_iter().collect(),
                participants,
                is_left: false,
                made_at: Some(now()),
            };
            world.record(Record::Grouped {
                group: group.clone(),
            })?;
            let founder = group.participants.first().cloned();
            tell(
                world,
                &group,
                founder.clone(),
                Notice::GroupCreated,
                Vec::new(),
            )?;
            // As the page makes them of one notification (page module WAWebGroupSystemMsg, genMsgsForGroupCreation).
            tell(world, &group, founder, Notice::GroupAdd, vec![account])?;
            Ok(group)
        })
    }

    /// People come into a group, leave it, or become admins or members again. Without `by` the first admin does it; who joins or leaves
    /// does it alone.
    pub(crate) fn change_members(
        &self,
        account: &Number,
        id: &str,
        act: Act,
        people: Vec<Number>,
        by: Option<Number>,
    ) -> Result<Group, Refusal> {
        self.change(|world| {
            must_be_linked(world, account)?;
            let mut group = world.group_of(account, id).ok_or(Refusal::UnknownGroup)?;
            let is_in = |person: &Number| group.has(person);
            let come_in = matches!(act, Act::Add | Act::Join);
            if people.iter().any(|person| is_in(person) == come_in) {
                return Err(Refusal::NotAMember);
            }
            let by = match act {
                Act::Join | Act::Leave => people.first().cloned(),
                Act::Add | Act::Remove | Act::Promote | Act::Demote => {
                    by.or_else(|| group.admins.first().cloned())
                }
            };
            for person in &people {
                group.apply(act, person);
            }
            world.record(Record::Grouped {
                group: group.clone(),
            })?;
            tell(world, &group, by, act.notice(), people)?;
            Ok(group)
        })
    }

    /// A group gets another name, or another description.
    pub(crate) fn rename(
        &self,
        account: &Number,
        id: &str,
        name: Option<String>,
        description: Option<String>,
        by: Option<Number>,
    ) -> Result<Group, Refusal> {
        self.change(|world| {
            must_be_linked(world, account)?;
            let mut group = world.group_of(account, id).ok_or(Refusal::UnknownGroup)?;
            let by = by.or_else(|| group.admins.first().cloned());
            let (renames, describes) = (name.is_some(), description.is_some());
            group.name = name.unwrap_or(group.name);
            group.description = description.or(group.description);
            world.record(Record::Grouped {
                group: group.clone(),
            })?;
            if renames {
                tell(world, &group, by.clone(), Notice::GroupSubject, Vec::new())?;
            }
            if describes {
                tell(world, &group, by, Notice::GroupDescription, Vec::new())?;
            }
            Ok(group)
        })
    }
}

impl Group {
    /// Whether this person is in it, the account too.
    fn has(&self, person: &Number) -> bool {
        if *person == self.account {
            !self.is_left
        } else {
            self.participants.contains(person)
        }
    }

    fn apply(&mut self, act: Act, person: &Number) {
        match act {
            Act::Add | Act::Join if *person == self.account => self.is_left = false,
            Act::Add | Act::Join => self.participants.push(person.clone()),
            Act::Remove | Act::Leave => {
                self.is_left |= *person == self.account;
                self.participants.retain(|other| other != person);
                self.admins.retain(|other| other != person);
            }
            Act::Promote if !self.admins.contains(person) => self.admins.push(person.clone()),
            Act::Promote => {}
            Act::Demote => self.admins.retain(|other| other != person),
        }
    }
}

/// WhatsApp writes a line into the group's chat.
fn tell(
    world: &mut World,
    group: &Group,
    author: Option<Number>,
    kind: Notice,
    people: Vec<Number>,
) -> Result<(), Refusal> {
    let doer = Doer {
        account: group.account.clone(),
        author,
        name: None,
        hidden: false,
    };
    let chat = Chat::Group(group.id.clone());
    bring(world, doer, chat, Content::Notice { kind, people })?;
    Ok(())
}
