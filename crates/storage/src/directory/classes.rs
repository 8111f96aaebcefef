//! Classes of service: their values, the attributes that the site has defined, and what accounts have of their own.

use super::rows::{AttributeRow, Changed, ClassRow};
use super::statements::{
    ATTRIBUTE, ATTRIBUTE_DELETE, ATTRIBUTE_IN_USE, ATTRIBUTE_INSERT, ATTRIBUTES_PAGE, CLASS, CLASS_COUNT,
    CLASS_DELETE, CLASS_INSERT, CLASS_VALUE_CLEAR, CLASS_VALUE_SET, CLASS_VALUES, CLASSES_PAGE,
    OVERRIDE_CLEAR, OVERRIDE_SET, OVERRIDES,
};
use super::{Edit, MAX_PAGE, Rows, word};
use crate::sql::{Row, SqlError, params};
use catalog::cos::{Rule, Type};
use mail::id::AccountId;

/// Keys of attributes with their values, in the order of the keys.
pub type Values = Vec<(String, String)>;

impl Rows<'_> {
    /// A class by its key.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn class(&self, key: &str) -> Result<Option<ClassRow>, SqlError> {
        self.session.settle()?;
        self.one(CLASS, params![key], class)
    }

    /// The classes after that key, in order, at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// Where the database fails.
    pub fn classes_after(&self, key: &str, limit: u32) -> Result<Vec<ClassRow>, SqlError> {
        self.session.settle()?;
        self.many(CLASSES_PAGE, params![key, limit.min(MAX_PAGE)], class)
    }

    /// How many accounts there are: those of all classes together.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn account_count(&self) -> Result<u64, SqlError> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let page = self.classes_after(&after, MAX_PAGE)?;
            let Some(last) = page.last() else { return Ok(count) };
            after = last.name.to_lowercase();
            count += page.iter().map(|class| class.users.unsigned_abs()).sum::<u64>();
        }
    }

    /// The values that a class sets.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn class_values(&self, key: &str) -> Result<Values, SqlError> {
        self.many(CLASS_VALUES, params![key], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The values that an account has of its own.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn overrides(&self, account: AccountId) -> Result<Values, SqlError> {
        self.many(OVERRIDES, params![account.0], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// An attribute of the site by its key.
    ///
    /// # Errors
    /// Where the database fails or the row is damaged.
    pub fn attribute(&self, key: &str) -> Result<Option<AttributeRow>, SqlError> {
        self.one(ATTRIBUTE, params![key], attribute)
    }

    /// The attributes of the site after that key, in order, at most `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub fn attributes_after(&self, key: &str, limit: u32) -> Result<Vec<AttributeRow>, SqlError> {
        self.many(ATTRIBUTES_PAGE, params![key, limit.min(MAX_PAGE)], attribute)
    }

    /// A class and an account that have a value of this attribute.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn attribute_in_use(&self, key: &str) -> Result<(Option<String>, Option<AccountId>), SqlError> {
        let found = self.one(ATTRIBUTE_IN_USE, params![key], |row| {
            Ok((row.get(0)?, row.get::<Option<i64>>(1)?.map(AccountId)))
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Edit<'_> {
    /// Adds a class that is not there yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn add_class(&self, key: &str, name: &str) -> Result<(), SqlError> {
        self.put(CLASS_INSERT, params![key, name, self.at.as_micros()])?;
        self.log(&Changed::Class(key.to_owned()))
    }

    /// Removes a class without accounts, and its values.
    ///
    /// # Errors
    /// Where the database fails, also because accounts are of this class.
    pub fn remove_class(&self, key: &str) -> Result<(), SqlError> {
        self.put(CLASS_DELETE, params![key])?;
        self.log(&Changed::Class(key.to_owned()))
    }

    /// Sets or (with `None`) clears a value of a class.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn set_class_value(&self, key: &str, attribute: &str, value: Option<&str>) -> Result<(), SqlError> {
        match value {
            Some(value) => self.put(CLASS_VALUE_SET, params![key, attribute, value])?,
            None => self.put(CLASS_VALUE_CLEAR, params![key, attribute])?,
        };
        self.log(&Changed::Class(key.to_owned()))
    }

    /// Sets or (with `None`) clears a value that an account has of its own.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn set_override(&self, id: AccountId, attribute: &str, value: Option<&str>) -> Result<(), SqlError> {
        match value {
            Some(value) => self.put(OVERRIDE_SET, params![id.0, attribute, value])?,
            None => self.put(OVERRIDE_CLEAR, params![id.0, attribute])?,
        };
        self.touch(id)
    }

    /// Defines an attribute that is not there yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn add_attribute(&self, key: &str, row: &AttributeRow) -> Result<(), SqlError> {
        let (rule, kind) = (row.rule.letter().to_string(), row.kind.letter().to_string());
        self.put(ATTRIBUTE_INSERT, params![key, row.name, rule, kind, row.fallback])?;
        self.log(&Changed::Attribute(key.to_owned()))
    }

    /// Removes the definition of an attribute.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn remove_attribute(&self, key: &str) -> Result<(), SqlError> {
        self.put(ATTRIBUTE_DELETE, params![key])?;
        self.log(&Changed::Attribute(key.to_owned()))
    }

    /// Counts accounts into (or out of) a class.
    pub(super) fn count_users(&self, class: &str, by: i64) -> Result<(), SqlError> {
        self.session.add_to(CLASS_COUNT, class, by)
    }
}

fn class(row: &Row<'_>) -> Result<ClassRow, SqlError> {
    Ok(ClassRow { name: row.get(0)?, users: row.get(1)? })
}

fn attribute(row: &Row<'_>) -> Result<AttributeRow, SqlError> {
    let (rule, kind) = (word(row, 1, Rule::parse)?, word(row, 2, Type::parse)?);
    Ok(AttributeRow { name: row.get(0)?, rule, kind, fallback: row.get(3)? })
}
