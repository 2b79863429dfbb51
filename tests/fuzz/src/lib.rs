//! What the fuzz targets share: how bytes of the fuzzer's become files whose checksums are right, so that the
//! decoders behind the checksums are reached, too; and what texts of SQL begin with.
//!
//! ```text
//!   seeds (`main`)   directory --take apart--> parts --> corpus
//!   targets          corpus, changed --> parts --seal--> directory --> decoders
//! ```

pub mod parts;
pub mod seal;
pub mod statements;
