//! The publisher: entries and mark move in one step, and the mark is called out to all instances.

use std::sync::Arc;

use async_trait::async_trait;
use ports::PortError;
use ports::feed::{Publisher, Told};
use ports::journal::{Position, Record};

use super::node::{BUS, Node};
use crate::model::bus::NotTold;
use crate::sabotage::Sabotage;

/// So many records are told in one step.
const STEP: usize = 256;

#[async_trait]
impl Publisher for Node {
    async fn told(&self) -> Result<Told, PortError> {
        self.call_bus("told").await?;
        if self.world.has(Sabotage::NoRewind) && self.marks.position() > Position::START {
            return Ok(Told { position: self.marks.position(), fact: None });
        }
        let (before, told) = {
            let outbound = &mut self.world.state().bus.outbound;
            (outbound.mark(), outbound.told())
        };
        let told = self.bus_wrote(told).await?;
        if told.position < before {
            self.marks.is(told.position);
        } else {
            self.marks.is_at_least(told.position);
        }
        Ok(told)
    }

    async fn publish(&self, records: Vec<Arc<Record>>) -> Result<(), PortError> {
        if records.windows(2).any(|two| two[1].position.0 != two[0].position.0 + 1) {
            return Err(PortError::Refused { what: BUS, detail: "the records do not follow each other".to_owned() });
        }
        for step in records.chunks(STEP) {
            self.call_bus("publish").await?;
            let mark = self.tell(step).await?;
            self.bus_wrote(()).await?;
            self.marks.is_at_least(mark);
        }
        Ok(())
    }

    async fn begin_after(&self, begin: Position) -> Result<(), PortError> {
        self.call_bus("begin after").await?;
        let mark = self.world.state().bus.outbound.begin_after(begin);
        self.bus_wrote(()).await?;
        self.marks.is_at_least(mark);
        Ok(())
    }
}

impl Node {
    async fn tell(&self, step: &[Arc<Record>]) -> Result<Position, PortError> {
        if self.world.has(Sabotage::MarkBeforePublish)
            && let Some(last) = step.last()
        {
            self.world.state().bus.outbound.move_mark(last);
            self.call_bus("publish").await?;
            self.world.state().bus.outbound.write_again(step);
            return Ok(last.position);
        }
        let outbound = &mut self.world.state().bus.outbound;
        if self.world.has(Sabotage::NoFence)
            && let Some(last) = step.last()
        {
            outbound.write_again(step);
            outbound.move_mark(last);
            return Ok(last.position);
        }
        match outbound.publish(step) {
            Ok(mark) => Ok(mark),
            Err(NotTold::Gap(mark)) => {
                let detail = format!("this does not continue what was told up to {mark}");
                Err(PortError::Refused { what: BUS, detail })
            }
            Err(NotTold::Moved) => Err(PortError::Contended { what: BUS }),
        }
    }
}
