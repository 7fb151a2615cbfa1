//! Clocks that are wrong: of an instance, and of the database.

use anyhow::{Context as _, Result};
use test_servers::find;

use super::{Fault, Limits, USUAL};
use crate::interrupt::pause;
use crate::scene::Scene;

pub(super) const OF_INSTANCES: Fault = Fault {
    number: 37,
    name: "instance-clocks",
    what: "one instance goes 10 minutes ahead, another 10 minutes behind (libfaketime)",
    strike: of_instances,
    // Ids tell the time of the instance that made them, and so, here, nothing about how late a timer was armed.
    limits: Limits { ids_tell_time: false, ..USUAL },
    needs: Some(|| find::faketime().is_none().then(|| "libfaketime is not installed".to_owned())),
};

pub(super) const OF_THE_DATABASE: Fault = Fault {
    number: 38,
    name: "database-clock",
    what: "the database's clock steps 10 minutes ahead and back again (by its one function for the time, in place of libfaketime)",
    strike: of_the_database,
    limits: Limits { ids_tell_time: false, ruins: true, ..USUAL },
    needs: None,
};

fn of_instances(scene: &mut Scene<'_>) -> Result<()> {
    let fake = find::faketime().context("libfaketime is gone")?;
    for (number, offset) in [(0, "+600s"), (1, "-600s")] {
        scene.restart_with(
            number,
            vec![
                ("LD_PRELOAD".to_owned(), fake.display().to_string()),
                ("FAKETIME".to_owned(), offset.to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
            ],
        )?;
    }
    let lasted = scene.last();
    scene.restart_with(0, Vec::new())?;
    scene.restart_with(1, Vec::new())?;
    lasted
}

fn of_the_database(scene: &mut Scene<'_>) -> Result<()> {
    let clock = |offset: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION lifecycle_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE \
             AS 'SELECT clock_timestamp() {offset}'"
        )
    };
    scene.rig.sql(&clock("+ interval ''10 minutes''"))?;
    let lasted = pause(scene.profile.fault / 2);
    scene.rig.sql(&clock(""))?;
    lasted
}
