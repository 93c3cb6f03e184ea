//! What somebody may do. The four say nothing of each other: who operates and looks as well has both.

/// What a request needs, and what a name in the access file is given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Whatever only looks.
    Read,
    /// Sending samples.
    Write,
    /// Saying what alerts were, and answering proposals; also Alertmanager and paging tools do.
    Feedback,
    /// Changing what the loop does: state, freeze, thresholds, rollouts, reload. And the audit.
    Operate,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Read, Role::Write, Role::Feedback, Role::Operate];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Feedback => "feedback",
            Role::Operate => "operate",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = ();
    fn from_str(text: &str) -> Result<Role, ()> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

/// Which of the four.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Roles(u8);

impl Roles {
    pub const ALL: Roles = Roles(0b1111);

    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    pub const fn with(self, role: Role) -> Roles {
        Roles(self.0 | 1 << role as u8)
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = Role::ALL.into_iter().filter(|role| self.has(*role)).map(Role::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_kept_apart() {
        let some = Roles::default().with(Role::Read).with(Role::Feedback);
        assert_eq!(Role::ALL.map(|role| some.has(role)), [true, false, true, false]);
        assert_eq!(some.to_string(), "read, feedback");
        assert!(Role::ALL.into_iter().all(|role| Roles::ALL.has(role) && role.as_str().parse() == Ok(role)));
        assert_eq!("admin".parse::<Role>(), Err(()));
    }
}
