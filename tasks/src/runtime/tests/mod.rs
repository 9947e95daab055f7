//! The rules of the life cycles, tried in a small world: one leaf, its roots, users and workers.

mod accounts;
mod draws;
mod life;
mod listing;
mod plan;
mod random;
mod rights;
mod rotation;
mod steps;
mod workers;
mod world;
