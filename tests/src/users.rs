//! The table of users that benchmarks load: a row follows from its number.

/// The table, in SQL that all engines here take.
pub const CREATE_USERS: &str = "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, email TEXT, \
     age INTEGER, score DOUBLE PRECISION, created_at DOUBLE PRECISION)";

/// A row of the users table.
#[derive(Clone, Debug)]
pub struct User {
    /// Its number and primary key.
    pub id: i64,
    /// Ten characters, each 100,000 rows the same.
    pub name: String,
    /// 23 characters, unique.
    pub email: String,
    /// 18 to 77.
    pub age: i32,
    /// 0 to 99.99 in hundredths.
    pub score: f64,
    /// The number again.
    pub created_at: f64,
}

/// Row number `i`.
pub fn user(i: i64) -> User {
    User {
        id: i,
        name: format!("name{:06}", i % 100_000),
        email: format!("user{i:07}@example.com"),
        age: 18 + (i % 60) as i32,
        score: (i * 7919 % 10_000) as f64 / 100.0,
        created_at: i as f64,
    }
}
