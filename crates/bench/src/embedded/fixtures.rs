//! Campaigns to measure with.

use anyhow::Result;
use application::CommandRequest;
use chrono::TimeDelta;
use domain::{
    CampaignId, CampaignKey, Command, CommandId, Definition, JsonText, PolicyOverrides, TenantId, Timestamp, Window,
};
use ports::journal::{Actor, ActorKind};

/// A campaign that starts at `start` and runs for a day, with a little metadata, as a command of its own.
pub(crate) fn create(number: usize, start: Timestamp) -> Result<CommandRequest> {
    let id = format!("campaign-{number:07}");
    let definition = Definition {
        window: Window::new(start, start + TimeDelta::days(1))?,
        auto_close: true,
        rewards_enabled: true,
        target_engagements: None,
        close_on_target: false,
        owner: None,
        policy: PolicyOverrides::default(),
        metadata: JsonText::new(r#"{"name":"Spring sale","hashtags":["spring","sale"],"budget":"1000"}"#)?,
    };
    Ok(CommandRequest {
        key: CampaignKey { tenant: TenantId::default_tenant(), id: CampaignId::parse(&id)? },
        id: CommandId::parse(&format!("create-{id}"))?,
        remember: true,
        fingerprint: [0; 32],
        command: Command::Create { definition },
        expected_version: None,
        actor: Actor { kind: ActorKind::Service, subject: "bench".to_owned() },
        correlation: None,
    })
}
