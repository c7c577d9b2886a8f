//! What an admitted run is started with: its values, what is looked for in its output, what the program finds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Broker, Caller,
    api::RunParams,
    asked::{Asked, Setup},
    needles::{RunNeedles, Shared},
    refusal::Refusal,
};
use crate::{
    audit::Intent,
    delivery::{Deliveries, ForRun, Hands, Outfit, Revealed, Services},
    names::{EnvName, RunId, SecretName},
    policy::{Delivered, Promise, RunTerms},
    run::{Launch, Materials, Start},
    value::SecretValue,
    vault::{SealedSecret, Vault},
};

/// Between SIGTERM and SIGKILL (docs/policy.md, `limits.timeout`).
const GRACE: Duration = Duration::from_secs(10);

/// What the child gets, and what is masked in what it says.
pub(super) struct Prepared {
    pub(super) launch: Launch,
    pub(super) needles: RunNeedles,
    pub(super) promise: Promise,
    pub(super) services: Services,
}

impl Broker {
    /// Reveals what the intent covers, and puts together what the child gets.
    pub(super) fn prepare(
        &self,
        sealed: &[SealedSecret],
        intent: &Intent<RunTerms>,
        asked: &Asked,
        Setup { plan, chain }: Setup,
    ) -> Result<Prepared, Refusal> {
        let terms = intent.terms();
        let sorted = Deliveries::all().sort(revealed(sealed, intent)?)?;
        let before = values_before(sealed, intent)?;
        let promise = sorted.judge(terms)?;
        let known = before.iter().map(|(name, value)| (name, value));
        let known = sorted.in_hands(Hands::Ours).chain(known);
        let shared = Shared::of(terms, &plan, &self.settings.user_home);
        let given = sorted.in_hands(Hands::Program);
        let mut needles = self.needles.for_run(intent.scope(), given, known, shared);
        let run = ForRun { terms, plan: &plan, known: &needles.each, timed: asked.streams.timed() };
        let materials = Materials { env: environment(terms, &asked.caller), ..Materials::default() };
        let outfit = sorted.deliver(materials, &run)?;
        let start = self.start(intent.run_id().clone(), terms, &asked.params, &outfit);
        let (materials, placeholders, services) = outfit.into_parts();
        needles.mask_too(placeholders);
        let launch = Launch::new(self.sandbox(plan, terms), chain, start, materials);
        Ok(Prepared { launch, needles, promise, services })
    }

    pub(super) fn start(
        &self,
        run_id: RunId,
        terms: &RunTerms,
        params: &RunParams,
        outfit: &Outfit,
    ) -> Start {
        let argv0 = params.command.first().cloned().unwrap_or_default();
        let arguments = terms.args.iter().map(|argument| outfit.resolved(argument));
        Start {
            run_id,
            supervisors: Arc::clone(&self.supervisors),
            program: terms.program.clone(),
            pin: terms.pin,
            argv: std::iter::once(argv0).chain(arguments).collect(),
            path: terms.path.clone(),
            home: terms.home,
            user_home: self.settings.user_home.clone(),
            cwd: terms.cwd.clone(),
            stdin: params.stdin.as_deref().map(|text| outfit.resolved(text).into_bytes()),
            timeout: terms.timeout,
            grace: GRACE,
            output_limit: terms.output_limit,
        }
    }
}

/// A run's secrets as they are stored.
pub(super) fn sealed(vault: &Vault, terms: &RunTerms) -> Result<Vec<SealedSecret>, Refusal> {
    terms.secrets.iter().map(|secret| vault.sealed(&secret.name, None).map_err(Refusal::from)).collect()
}

/// The values of a run's secrets, each with its way.
fn revealed(sealed: &[SealedSecret], intent: &Intent<RunTerms>) -> Result<Vec<Revealed>, Refusal> {
    let reveal = |(secret, sealed): (&Delivered, &SealedSecret)| {
        let value = sealed.reveal(intent)?;
        let Delivered { name, env, how } = secret.clone();
        Ok(Revealed { name, env, how, value })
    };
    intent.terms().secrets.iter().zip(sealed).map(reveal).collect()
}

/// The values that a run's secrets had before their present ones: a program may have one from elsewhere.
pub(super) fn values_before(
    sealed: &[SealedSecret],
    intent: &Intent<RunTerms>,
) -> Result<Vec<(SecretName, SecretValue)>, Refusal> {
    let mut values = Vec::new();
    for secret in sealed {
        let before = secret.reveal_previous(intent)?;
        values.extend(before.map(|value| (secret.name().clone(), value)));
    }
    Ok(values)
}

/// Names are added, never subtracted: what the policy passes, what it sets, what it lets a call set.
pub(super) fn environment(terms: &RunTerms, caller: &Caller) -> BTreeMap<EnvName, std::ffi::OsString> {
    let passed = terms.pass_env.names().filter_map(|name| {
        let value = caller.environment.get(name.as_str())?;
        // Whoever starts a server chooses its environment: a text that the policy does not bound stays outside.
        terms.pass_env.fits(name, value).then(|| (name.clone(), value.clone()))
    });
    let set = terms.set_env.iter().chain(&terms.agent_env).map(|(name, text)| (name.clone(), text.clone()));
    passed.chain(set).map(|(name, text)| (name, text.into())).collect()
}
