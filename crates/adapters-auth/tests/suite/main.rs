//! The authenticator from outside: hostile tokens, JWKS documents, wrong settings.

mod contract;
mod hostile_tokens;
mod jwks;
mod setup;
mod support;
