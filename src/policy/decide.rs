//! The decision: deny first, then for each secret the first rule that matches secret and command.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    applied::{Operator, Policy},
    asker::{check_asker, check_stdin},
    decision::{
        Allowed, Asker, CwdTerm, Decision, Delivered, Denial, DenyCode, How, Promise, Promised, Request,
        RevealRequest, RevealTerms, RunTerms, SecretFacts, Step, denial,
    },
    dirs::lies_in,
    document::Rule,
    env_names,
    sealed::{BaseUrl, EgressAllowlist},
    together::{Unfit, check_together, sealed_among},
    words::{DeliveryMode, ExitCodes},
};
use crate::names::{EnvName, SecretName};

impl Policy {
    /// The secrets whose facts a decision on this request needs: those it names, or, where it names
    /// none, those that the matching rule writes without a glob. A name outside the scope is among
    /// them, so that it costs what a missing one costs.
    pub(crate) fn names_in_question(&self, request: &Request) -> Vec<SecretName> {
        match &request.secrets {
            Some(names) => names.clone(),
            None => self.implied(request).map(|(names, _)| names).unwrap_or_default(),
        }
    }

    /// Decides. `facts` has an entry for each of [`Policy::names_in_question`] that exists.
    pub(crate) fn decide(&self, request: &Request, facts: &[SecretFacts]) -> Decision<RunTerms> {
        match self.terms(request, facts) {
            Ok(terms) => {
                Decision::Allow(Allowed { scope: self.document.scope.clone(), terms: Box::new(terms) })
            }
            Err(denial) => Decision::Deny(*denial),
        }
    }

    /// Decides on an operator's request to see a value; only [`Policy::operator`] allows it.
    pub(crate) fn decide_reveal(&self, request: &RevealRequest) -> Decision<RevealTerms> {
        match self.operator {
            Operator::No => Decision::Deny(*denial(
                DenyCode::NotAvailable,
                "no scope's policy shows a value",
                "authy-mcp admin get NAME --reveal",
            )),
            Operator::Yes => Decision::Allow(Allowed {
                scope: self.document.scope.clone(),
                terms: Box::new(RevealTerms { secret: request.secret.clone(), version: request.version }),
            }),
        }
    }

    fn terms(&self, request: &Request, facts: &[SecretFacts]) -> Step<RunTerms> {
        self.check_enforceable()?;
        check_command(&request.command)?;
        let agent_env = self.agent_env(request)?;
        let cwd = self.cwd(request)?;
        let chosen = self.chosen(request, facts)?;
        check_asker(request, &chosen)?;
        check_stdin(request, &chosen)?;
        self.check_references(request, &chosen)?;
        self.run_terms(request, facts, chosen, agent_env, cwd)
    }

    fn check_enforceable(&self) -> Step<()> {
        let Some(first) = self.document.unenforceable.first() else { return Ok(()) };
        Err(denial(
            DenyCode::SandboxUnavailable,
            format!("{} (line {} of its policy)", first.message, first.line),
            format!("ask the operator to fix the policy of {}: {}", self.document.scope, first.hint),
        ))
    }

    /// What a call sets: only what the policy lets it, to a text that the policy or the name bounds.
    fn agent_env(&self, request: &Request) -> Step<BTreeMap<EnvName, String>> {
        let mut env = BTreeMap::new();
        for (name, text) in &request.env {
            let parsed =
                EnvName::parse(name).ok().filter(|parsed| self.document.env.agent.fits(parsed, text));
            let Some(parsed) = parsed else { return Err(self.env_refused(name)) };
            env.insert(parsed, text.clone());
        }
        Ok(env)
    }

    fn env_refused(&self, name: &str) -> Box<Denial> {
        let allowed: Vec<String> = self.document.env.agent.words().collect();
        let hint = match allowed.as_slice() {
            [] => "leave env out: this scope lets a call set none".to_owned(),
            names => format!("a call may set: {}", names.join(", ")),
        };
        let parsed = EnvName::parse(name).ok();
        let known =
            parsed.as_ref().is_some_and(|name| self.document.env.agent.names().any(|known| known == name));
        let shown = parsed.map_or_else(|| "a variable".to_owned(), |name| name.to_string());
        let what = if known { "may not be set to this text by a call" } else { "may not be set by a call" };
        denial(DenyCode::EnvNotAllowed, format!("{shown} {what}"), hint)
    }

    fn cwd(&self, request: &Request) -> Step<CwdTerm> {
        let roots = self.cwd_roots();
        let Some(dir) = request.cwd.clone().or_else(|| roots.first().cloned()) else {
            return Ok(CwdTerm::Private);
        };
        if lies_in(&dir, &roots) {
            return Ok(CwdTerm::Within { dir, roots });
        }
        let hint = match roots.first() {
            None => "leave cwd out: runs of this scope start in a private empty directory".to_owned(),
            Some(_) => {
                let shown: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
                format!("name an absolute directory inside {}, without ..", shown.join(" or "))
            }
        };
        Err(denial(DenyCode::CwdNotAllowed, "runs of this scope may not start there", hint))
    }

    /// For each secret of the run, the rule that decides on it; and for a run without any, the rule that
    /// lets the command run.
    fn chosen<'a>(
        &'a self,
        request: &Request,
        facts: &[SecretFacts],
    ) -> Step<Vec<(&'a Rule, Option<SecretName>)>> {
        let names = match &request.secrets {
            Some(names) => names.clone(),
            None => self.implied(request)?.0,
        };
        for name in &names {
            self.check_available(name, facts)?;
        }
        if names.is_empty() {
            let rule = self.matching(request).next().ok_or_else(|| self.command_refused(None))?;
            return Ok(vec![(rule, None)]);
        }
        let mut chosen = Vec::new();
        for name in names {
            let covering = |rule: &&Rule| rule.secrets.iter().any(|pattern| pattern.matches(&name));
            let rule =
                self.matching(request).find(covering).ok_or_else(|| self.command_refused(Some(&name)))?;
            chosen.push((rule, Some(name)));
        }
        Ok(chosen)
    }

    /// What a call that names no secrets means: the literal secrets of the one rule that fits.
    fn implied(&self, request: &Request) -> Step<(Vec<SecretName>, &Rule)> {
        let mut fitting = self.matching(request);
        let Some(rule) = fitting.next() else { return Err(self.command_refused(None)) };
        if fitting.next().is_some() {
            return Err(denial(
                DenyCode::SecretsRequired,
                "more than one rule fits this command",
                "name the secrets that it needs: copy an example from list_allowed",
            ));
        }
        let literal: Option<Vec<SecretName>> = rule.secrets.iter().map(|pattern| pattern.literal()).collect();
        match literal {
            Some(names) => Ok((names, rule)),
            None => Err(denial(
                DenyCode::SecretsRequired,
                format!(
                    "rule {} covers secrets by a pattern, so the call must name those that it needs",
                    rule.id
                ),
                "copy the secrets of an example from list_allowed",
            )),
        }
    }

    /// Rules whose commands cover the request's, in file order; those that are not for whoever asks don't exist.
    fn matching<'a>(&'a self, request: &Request) -> impl Iterator<Item = &'a Rule> {
        let command = request.command.clone();
        let asker = request.asker;
        let narrow = self.narrowings.iter().filter_map(|narrow| narrow.commands.as_ref());
        let kept = narrow.into_iter().all(|patterns| {
            patterns
                .iter()
                .any(|p| p.matches(&command, self.resolved.programs.get(&p.program).map(PathBuf::as_path)))
        });
        self.document
            .allow
            .iter()
            .filter(move |rule| kept && rule.is_for(asker) && self.rule_covers(rule, &command))
    }

    fn rule_covers(&self, rule: &Rule, command: &[String]) -> bool {
        rule.commands.as_ref().is_none_or(|patterns| {
            patterns
                .iter()
                .any(|p| p.matches(command, self.resolved.programs.get(&p.program).map(PathBuf::as_path)))
        })
    }

    /// One answer for a secret that is denied, outside the scope, given up, or not there.
    fn check_available(&self, name: &SecretName, facts: &[SecretFacts]) -> Step<()> {
        let exists = facts.iter().any(|fact| fact.name == *name);
        if exists && self.in_scope(name) { Ok(()) } else { Err(not_available(name)) }
    }

    pub(super) fn in_scope(&self, name: &SecretName) -> bool {
        let covered =
            self.document.allow.iter().flat_map(|rule| &rule.secrets).any(|pattern| pattern.matches(name));
        let denied = self.document.deny.iter().any(|pattern| pattern.matches(name));
        let mut narrow = self.narrowings.iter().filter_map(|narrow| narrow.secrets.as_ref());
        covered && !denied && narrow.all(|names| names.contains(name))
    }

    fn command_refused(&self, secret: Option<&SecretName>) -> Box<Denial> {
        let rules = self.document.allow.iter().filter(|rule| rule.is_for(Asker::Tool));
        let about =
            rules.filter(|rule| secret.is_none_or(|name| rule.secrets.iter().any(|p| p.matches(name))));
        let allowed: Vec<Vec<String>> =
            about.clone().flat_map(|rule| rule.commands.iter().flatten()).map(|p| p.elements()).collect();
        let message = match secret {
            Some(name) => format!("no rule lets this command have {name}"),
            None => "no rule allows this command".to_owned(),
        };
        let rule = about.map(|rule| rule.id.clone()).next().filter(|_| secret.is_some());
        Box::new(Denial {
            code: DenyCode::CommandNotAllowed,
            rule,
            message,
            hint: "copy an example from list_allowed; in a pattern, * stands for one argument that does not begin with - \\ @ + or |, {int:1..9} and its like for what they say, ** for any rest".to_owned(),
            allowed,
        })
    }

    /// `{{name}}` means a placeholder, which only sealed delivery has.
    fn check_references(&self, request: &Request, chosen: &[(&Rule, Option<SecretName>)]) -> Step<()> {
        for (rule, name) in chosen {
            let Some(name) = name.as_ref().filter(|_| rule.seal.is_none()) else { continue };
            let reference = format!("{{{{{name}}}}}");
            let texts = request.command.iter().chain(&request.stdin);
            if texts.into_iter().any(|text| text.contains(&reference)) {
                return Err(denial(
                    DenyCode::SecretInArgv,
                    format!(
                        "{name} is delivered in a variable, so nothing stands for it in arguments or standard input"
                    ),
                    "leave it out: the program finds the value in the variable that list_allowed shows",
                ));
            }
        }
        Ok(())
    }

    fn run_terms(
        &self,
        request: &Request,
        facts: &[SecretFacts],
        chosen: Vec<(&Rule, Option<SecretName>)>,
        agent_env: BTreeMap<EnvName, String>,
        cwd: CwdTerm,
    ) -> Step<RunTerms> {
        let rules: Vec<&Rule> = chosen.iter().map(|(rule, _)| *rule).collect();
        let program = self.program(&rules, request)?;
        let secrets = delivered(&chosen, facts)?;
        let set_env = merged_env(&rules, &secrets, &agent_env)?;
        check_together(&secrets).map_err(unfit)?;
        check_base_urls(&secrets, &set_env)?;
        let document = &self.document;
        let longest = rules.iter().filter_map(|rule| rule.timeout).chain([document.limits.timeout]).min();
        let longest = longest.unwrap_or(document.limits.timeout);
        let pin = rules.iter().any(|rule| rule.pin).then(|| self.pin(&program)).transpose()?;
        let paths = self.paths(&rules, request, &agent_env);
        let pinned = self.pinned(&rules, request);
        let carried: Vec<EnvName> = secrets.iter().map(|secret| secret.env.clone()).collect();
        let promised = self.promise_of(&rules, &carried);
        let ids: BTreeSet<String> = rules.iter().map(|rule| rule.id.clone()).collect();
        Ok(RunTerms {
            rules: ids.into_iter().collect(),
            program,
            args: request.command[1..].to_vec(),
            secrets,
            set_env,
            pass_env: document.env.pass.clone(),
            agent_env,
            path: document.path_dirs(&self.resolved.home),
            home: document.env.home,
            cwd,
            timeout: request.timeout.map_or(longest, |asked| asked.min(longest)),
            output_limit: document.limits.output,
            output: rules.iter().map(|rule| rule.output).max().unwrap_or_default(),
            promise: promised.promise,
            promise_why: promised.why,
            pin,
            pinned,
            paths,
            asker: request.asker,
            sandbox: document.sandbox_of(&rules, &self.resolved.home, request.asker),
            exit_code: exit_codes(&rules),
            guessable: guessable(&chosen),
            values_judged: self.resolved.values_judged,
            reach: EgressAllowlist {
                hosts: document.reach.hosts.clone(),
                extra_ca: self.resolved.extra_ca.clone(),
                upstream: document.reach.upstream.clone(),
            },
            runs_per_minute: document.limits.runs_per_minute,
            concurrent_runs: document.limits.concurrent_runs,
        })
    }

    /// Across rules, the least.
    fn promise_of(&self, rules: &[&Rule], carried: &[EnvName]) -> Promised {
        let all = rules.iter().map(|rule| self.promised(rule, carried));
        all.min_by_key(|promised| promised.promise)
            .unwrap_or(Promised { promise: Promise::BestEffort, why: None })
    }

    /// The program as it was resolved when the policy was applied; for "any", as it lies now.
    fn program(&self, rules: &[&Rule], request: &Request) -> Step<PathBuf> {
        let programs = &self.resolved.programs;
        let named = rules.iter().flat_map(|rule| rule.commands.iter().flatten()).find_map(|pattern| {
            let path = programs.get(&pattern.program)?;
            pattern.matches(&request.command, Some(path)).then(|| path.clone())
        });
        let by_any =
            || request.resolved_program.clone().filter(|_| rules.iter().any(|rule| rule.commands.is_none()));
        named.or_else(by_any).ok_or_else(|| {
            denial(
                DenyCode::ProgramNotFound,
                "the program isn't where programs of this scope are looked for",
                "name an installed program, without a path or by its absolute path",
            )
        })
    }

    fn pin(&self, program: &Path) -> Step<[u8; 32]> {
        let digest = self.resolved.digests.get(program).and_then(|text| hex::decode(text).ok());
        digest.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            denial(
                DenyCode::ProgramNotFound,
                "the program is pinned, and its digest is not on record",
                "ask the operator to apply the policy again",
            )
        })
    }
}

fn guessable(chosen: &[(&Rule, Option<SecretName>)]) -> BTreeSet<SecretName> {
    chosen.iter().filter(|(rule, _)| rule.guessable).filter_map(|(_, name)| name.clone()).collect()
}

/// Across rules, the strictest.
fn exit_codes(rules: &[&Rule]) -> ExitCodes {
    if rules.iter().any(|rule| rule.exit_code == ExitCodes::Reduced) {
        ExitCodes::Reduced
    } else {
        ExitCodes::Exact
    }
}

fn check_command(command: &[String]) -> Step<()> {
    const FORM: &str = "give the program and its arguments as a list, one element each: [\"npm\", \"test\"]";
    match command.first() {
        None => Err(denial(DenyCode::BadArgument, "command is empty", FORM)),
        Some(program) if program.trim().is_empty() => {
            Err(denial(DenyCode::BadArgument, "command names no program", FORM))
        }
        Some(_) if command.iter().any(|arg| arg.contains('\0')) => {
            Err(denial(DenyCode::BadArgument, "an argument has a NUL byte", FORM))
        }
        Some(program) if command.len() == 1 && program.contains(char::is_whitespace) => {
            Err(denial(DenyCode::BadArgument, "command is one text, and no shell takes it apart", FORM))
        }
        Some(_) => Ok(()),
    }
}

fn delivered(chosen: &[(&Rule, Option<SecretName>)], facts: &[SecretFacts]) -> Step<Vec<Delivered>> {
    let mut all: Vec<Delivered> = Vec::new();
    for (rule, name) in chosen {
        let Some(name) = name else { continue };
        let env = env_of(rule, name, facts);
        if env_names::set_by_us(env.as_str()) {
            return Err(denial(
                DenyCode::BadArgument,
                format!("{name} would go by {env}, which is not for secrets"),
                "ask the operator to give it a variable in the rule's env",
            ));
        }
        if let Some(other) = all.iter().find(|other| other.env == env) {
            return Err(denial(
                DenyCode::BadArgument,
                format!("{name} and {} both go by {env}", other.name),
                "use one at a time, or ask the operator to give each its own variable",
            ));
        }
        all.push(Delivered { name: name.clone(), env, how: how(rule)? });
    }
    Ok(all)
}

fn how(rule: &Rule) -> Step<How> {
    match (rule.deliver, &rule.seal) {
        (DeliveryMode::Env, _) => Ok(How::Env),
        (DeliveryMode::File, _) => Ok(How::File),
        (DeliveryMode::Sealed, Some(seal)) => Ok(How::Sealed(Box::new(seal.clone()))),
        // No document with such a rule is read.
        (DeliveryMode::Sealed, None) => Err(denial(
            DenyCode::SandboxUnavailable,
            format!("rule {} seals its secrets and names no hosts", rule.id),
            "ask the operator to apply the policy again",
        )),
    }
}

/// The variable of a secret under a rule: the rule's word, its service's, the secret's own, or its name upper-cased.
pub(super) fn env_of(rule: &Rule, name: &SecretName, facts: &[SecretFacts]) -> EnvName {
    let own = || facts.iter().find(|fact| fact.name == *name).and_then(|fact| fact.env.clone());
    let service = rule.seal.as_ref().and_then(|seal| seal.service.as_ref());
    let said = rule.env.get(name).or(service.map(|service| &service.env));
    said.cloned().or_else(own).unwrap_or_else(|| name.default_env())
}

fn merged_env(
    rules: &[&Rule],
    secrets: &[Delivered],
    agent_env: &BTreeMap<EnvName, String>,
) -> Step<BTreeMap<EnvName, String>> {
    let mut set: BTreeMap<EnvName, String> = BTreeMap::new();
    for (name, text) in rules.iter().flat_map(|rule| &rule.set_env) {
        let same = set.insert(name.clone(), text.clone()).is_none_or(|before| before == *text);
        if !same || agent_env.contains_key(name) || secrets.iter().any(|secret| secret.env == *name) {
            return Err(denial(
                DenyCode::BadArgument,
                format!("{name} would be set twice, to different things"),
                "use fewer secrets at a time",
            ));
        }
    }
    if let Some(secret) = secrets.iter().find(|secret| agent_env.contains_key(&secret.env)) {
        return Err(denial(
            DenyCode::EnvNotAllowed,
            format!("{} carries a secret, so a call may not set it", secret.env),
            "leave it out of env",
        ));
    }
    Ok(set)
}

fn unfit(unfit: Unfit) -> Box<Denial> {
    match unfit {
        Unfit::Conflict(one, other) => denial(
            DenyCode::BadArgument,
            format!("{one} and {other} would both be set in the same header of the same host"),
            "use one at a time",
        ),
        Unfit::Incomplete(name, missing) => denial(
            DenyCode::SecretsRequired,
            format!("{name} signs together with {missing}"),
            "name both in secrets",
        ),
    }
}

/// A base URL has its variable to itself.
fn check_base_urls(secrets: &[Delivered], set_env: &BTreeMap<EnvName, String>) -> Step<()> {
    let mut known: Vec<&BaseUrl> = Vec::new();
    for base in sealed_among(secrets).flat_map(|(_, seal)| &seal.base_urls) {
        let twice = known.iter().any(|other| other.env == base.env && *other != base);
        if twice || set_env.contains_key(&base.env) || secrets.iter().any(|secret| secret.env == base.env) {
            return Err(denial(
                DenyCode::BadArgument,
                format!("{} would be set twice, to different things", base.env),
                "use fewer secrets at a time",
            ));
        }
        known.push(base);
    }
    Ok(())
}

fn not_available(name: &SecretName) -> Box<Denial> {
    denial(
        DenyCode::NotAvailable,
        format!("{name} is not available to this session"),
        "call list_allowed to see what is; the operator can allow more",
    )
}
