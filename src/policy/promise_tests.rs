//! Promises, types, variables and standard input as tables: what the machine's own programs, and what an attacker's
//! call, make of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{services::Services, *};
use crate::names::{ScopeName, SecretName};

/// A policy on a machine where every file is the administrator's alone: the most that can ever be promised.
fn firm(text: &str) -> Policy {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{text}: {:?}", error.0));
    let mut resolved = Resolved { home: "/home/u".into(), ..Resolved::default() };
    for program in document.programs() {
        let path = if program.name.starts_with('/') {
            PathBuf::from(&program.name)
        } else {
            Path::new("/usr/bin").join(&program.name)
        };
        resolved.programs.insert(program.name, path);
    }
    let policy = Policy::new(document, resolved);
    let paths = policy.ground_in_question().into_iter().map(|path| {
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        (path, Found { real, hold: Hold::Administrators })
    });
    let ground = Ground { paths: paths.collect(), changed: BTreeSet::new() };
    policy.on(ground)
}

fn rule(commands: &str, more: &str) -> String {
    format!(
        "scope = \"s\"\n{more}\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = {commands}\n"
    )
}

fn promised(text: &str) -> Promised {
    firm(text).promises().remove(0).1
}

#[test]
fn reviewed_is_what_is_known_and_nothing_else() {
    for (commands, more, why) in [
        ("[[\"true\"]]", "", None),
        ("[[\"/usr/bin/false\", \"x\", \"{int:1..9}\"]]", "", None),
        ("[[\"sleep\", \"{int:1..100}\"], [\"true\"]]", "", None),
        ("[[\"sleep\", \"2m\"]]", "[env]\nagent = { DEPTH = \"{int:1..9}\" }", None),
        ("[[\"sleep\", \"infinity\"]]", "", Some("not known with these arguments")),
        ("[[\"sleep\", \"{enum:1|--help}\"]]", "", Some("not known with these arguments")),
        ("[[\"true\", \"*\"]]", "", Some("* lets the caller choose")),
        ("[[\"true\", \"**\"]]", "", Some("** lets the caller choose")),
        ("[[\"true\", \"a*\"]]", "", Some("a* lets the caller choose")),
        ("[[\"true\", \"{path:/etc/*.conf}\"]]", "", Some("a file that the caller chooses")),
        ("[[\"true\"], [\"bash\"]]", "", Some("bash is not one of")),
        ("[[\"/opt/x/true\"]]", "", Some("is not one of")),
        ("\"any\"", "", Some("any command")),
        ("[[\"true\"]]\nstdin = \"text\"", "", Some("standard input")),
        ("[[\"true\"]]", "[env]\nagent = [\"LOG_LEVEL\"]", Some("a call may set LOG_LEVEL")),
        ("[[\"true\"]]", "[env]\npass = [\"CI\"]", Some("CI comes from the process that starts the server")),
        ("[[\"true\"]]", "[env]\nagent = { F = \"{path:/etc/*.conf}\" }", Some("F names a file")),
        ("[[\"true\"]]", "[env]\nhome = \"user\"", Some("your HOME")),
        ("[[\"true\"]]", "[sandbox]\nnetwork = \"open\"", Some("its network is open")),
        ("[[\"true\"]]", "[sandbox]\nmode = \"best-effort\"", Some("sandbox need not stand")),
        ("[[\"true\"]]", "[sandbox]\nmode = \"off\"", Some("sandbox need not stand")),
        ("[[\"true\"]]", "[sandbox]\ncwd = [\"/srv/app\"]", Some("it starts in /srv/app")),
        ("[[\"true\"]]\nset_env = { GLIBC_TUNABLES = \"x\" }", "", Some("GLIBC_TUNABLES")),
        ("[[\"true\"]]\nenv = { \"app/key\" = \"LANGUAGE\" }", "", Some("looks at LANGUAGE")),
    ] {
        let got = promised(&rule(commands, more));
        match why {
            None => assert_eq!(got.promise, Promise::Reviewed, "{commands} {more}: {got:?}"),
            Some(words) => {
                assert_eq!(got.promise, Promise::BestEffort, "{commands} {more}");
                assert!(
                    got.why.as_ref().is_some_and(|why| why.contains(words)),
                    "{commands} {more}: {got:?}"
                );
            }
        }
    }
}

#[test]
fn what_nobody_looked_at_and_what_others_can_write_promises_nothing() {
    let text = rule("[[\"true\"]]", "[env]\npath = [\"/opt/tools\"]");
    let policy = firm(&text);
    assert_eq!(policy.promises()[0].1.promise, Promise::Reviewed);
    let question = policy.ground_in_question();
    assert!(question.contains(Path::new("/opt/tools")) && question.contains(Path::new("/etc/ld.so.preload")));
    assert_eq!(policy.clone().on(Ground::default()).promises()[0].1.promise, Promise::BestEffort);
    for lost in &question {
        let mut ground = policy.ground.clone();
        ground.paths.get_mut(lost).unwrap().hold = Hold::Anybodys;
        let got = policy.clone().on(ground).promises().remove(0).1;
        assert_eq!(got.promise, Promise::BestEffort, "{}", lost.display());
    }
    let mut ground = policy.ground.clone();
    ground.paths.get_mut(Path::new("/usr/bin/true")).unwrap().real = "/usr/bin/bash".into();
    let got = policy.clone().on(ground).promises().remove(0).1;
    assert!(got.why.unwrap().contains("/usr/bin/bash"), "a link is what it leads to");
    let pinned = firm(&text.replace("commands", "pin = true\ncommands"));
    let mut ground = pinned.ground.clone();
    ground.paths.get_mut(Path::new("/usr/bin/true")).unwrap().hold = Hold::Anybodys;
    assert_eq!(
        pinned.on(ground).promises()[0].1.promise,
        Promise::Reviewed,
        "a pinned program is what it was"
    );
}

/// Programs that public lists of shell escapes, file readers and build tools name; what this machine hasn't is
/// counted by nobody.
const NOTED: &str = "7z aa-exec ab agetty alpine ansible-playbook ansible-test aoss apt apt-get aptitude ar aria2c arj arp as ascii-xfr ascii85 ash aspell at atobm awk aws base32 base58 base64 basenc basez bash batcat bc bconsole bpftrace bridge bundle bundler busctl busybox byebug bzip2 c++ c89 c99 cabal cancel capsh cargo cat cdist certbot check_by_ssh choom chmod chown chroot clamscan cmake cmp cobc column comm composer corepack cowsay cowthink cp cpan cpio cpulimit crash crontab csh csplit csvtool cupsfilter curl cut dash date dbus-run-session dd debugfs dialog diff dig distcc dmesg dmidecode dmsetup dnf docker dos2unix dosbox dotnet dpkg dstat dvips easy_install eb ed editor efax elvish emacs enscript env envsubst eqn espeak ex exiftool expand expect facter file find finger fish flock fmt fold fping ftp g++ gawk gcc gcloud gcore gdb gem genie genisoimage ghc ghci gimp ginsh git gmake gpg grc grep gtester gzip hd head hexdump highlight hping3 iconv iftop install ionice ip irb ispell java jjs joe join journalctl jq jrunscript jtag julia knife ksh ksshell ksu kubectl latex ld ld.bfd ld.gold ldconfig less lftp ln loginctl logrotate logsave look lp ltrace lua lualatex luatex lwp-download lwp-request m4 mail make man mariadb mawk minicom mktemp more mosquitto mount msfconsole msgattrib msgcat msgconv msgfilter msgmerge msguniq mtr multitime mv mypy mysql nano nasm nawk nc ncdu ncftp neofetch nft nice nl nm nmap node nodejs nohup npm npx nroff nsenter octave od openssl openvpn pager pandoc paste patch pax pdb pdflatex pdftex perf perl perlbug pexec pg php pic pico pidstat pip pip3 pkexec pkg podman poetry posh pr prlimit pry psftp psql ptx puppet pwsh python python2 python3 rake rbash readelf red redcarpet restic rev rlogin rlwrap rpm rpmdb rpmquery rpmverify rsync ruby run-mailcap run-parts runscript runuser rustc rustup rview rvim sash scalar scanmem scp screen script scrot sed service setarch setfacl setpriv setsid sftp sg sh shred shuf slsh smbclient snap socat socket soelim softlimit sort split sqlite3 sqlmap ss ssh ssh-agent ssh-keygen ssh-keyscan sshpass start-stop-daemon stdbuf strace strings su sudo sysctl systemctl systemd-resolve tac tail tar task taskset tasksh tbl tclsh tcpdump tcsh tdbtool tee telnet terraform tex tftp tic time timedatectl timeout tmate tmux top torify torsocks troff tshark ul unexpand uniq unshare unsquashfs unxz unzip update-alternatives uudecode uuencode vagrant valgrind vi view vigr vim vim.basic vimdiff vipw virsh volatility w3m wall watch wc wget whiptail whois wireshark wish xargs xdg-user-dir xdotool xelatex xetex xmodmap xmore xpad xxd xz yarn yash yelp yum zathura zip zsh zsoelim zypper linux64 setcap printenv x86_64";

/// What is installed: what public lists name, every link among programs, and, up to a few hundred, all else.
fn programs() -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    let mut add = |path: PathBuf| {
        if let Ok(real) = std::fs::canonicalize(&path) {
            found.insert(path, real);
        }
    };
    for dir in ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/etc/alternatives"] {
        for name in NOTED.split_whitespace() {
            add(Path::new(dir).join(name));
        }
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            add(entry.path());
        }
    }
    found
}

/// Arguments of which the caller chooses something.
const FREE: [&str; 5] =
    ["\"**\"", "\"*\"", "\"-c\", \"*\"", "\"-e\", \"x*\"", "\"{int:1..2}\", \"--file=*\""];

#[test]
fn no_program_of_the_machine_is_reviewed_with_a_free_argument() {
    let copies = Path::new("/home/u/bin");
    let programs = programs();
    let distinct: BTreeSet<&PathBuf> = programs.values().collect();
    let mut checked = 0;
    for (path, real) in &programs {
        let name = path.file_name().unwrap();
        // As found, by its real name, and as a copy that somebody gave a name that is known.
        let ways = [path.clone(), real.clone(), copies.join(name), copies.join("true"), copies.join("sleep")];
        for way in ways {
            let Some(program) = way.to_str().filter(|text| !text.contains(['"', '\\', '*'])) else {
                continue;
            };
            let rules = FREE.map(|arguments| {
                format!("[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"{program}\", {arguments}]]\n")
            });
            for (arguments, (_, got)) in
                FREE.iter().zip(firm(&format!("scope = \"s\"\n{}", rules.concat())).promises())
            {
                assert_eq!(got.promise, Promise::BestEffort, "{program} {arguments}: {got:?}");
            }
        }
        checked += 1;
    }
    assert!(
        checked >= 200 && distinct.len() >= 200,
        "{checked} programs, {} of them distinct",
        distinct.len()
    );
}

#[test]
fn the_names_that_are_known_lead_to_themselves() {
    for (path, real) in programs() {
        let Some(program) = path.to_str().filter(|text| !text.contains(['"', '\\'])) else { continue };
        let literal = promised(&rule(&format!("[[\"{program}\", \"1\"]]"), ""));
        let known =
            ["true", "false", "sleep"].iter().any(|name| real.file_name().is_some_and(|own| own == *name));
        assert!(known || literal.promise == Promise::BestEffort, "{program} is {}", real.display());
    }
}

/// The variables of the finding, those that used to be listed as bad, and siblings that nobody listed.
const HIJACKING: &str = "TAR_OPTIONS MAKEFILES MAKEFLAGS GNUMAKEFLAGS MFLAGS PYTEST_PLUGINS PYTEST_ADDOPTS AWS_PAGER GH_PAGER GH_EDITOR GH_BROWSER GH_HOST GH_CONFIG_DIR KUBE_EDITOR KUBECTL_EXTERNAL_DIFF KUBERNETES_EXEC_INFO HELM_PLUGINS HELM_BIN VIMINIT EXINIT DOTNET_STARTUP_HOOKS GRADLE_OPTS GRADLE_USER_HOME ANSIBLE_LIBRARY ANSIBLE_CONFIG ANSIBLE_ACTION_PLUGINS RESTIC_PASSWORD_COMMAND BORG_RSH BORG_PASSCOMMAND RCLONE_PASSWORD_COMMAND RIPGREP_CONFIG_PATH FZF_DEFAULT_COMMAND FZF_DEFAULT_OPTS BAT_PAGER DELTA_PAGER KRB5_CONFIG VAULT_ADDR VAULT_PROXY_ADDR CONSUL_HTTP_ADDR NOMAD_ADDR OPENAI_BASE_URL ANTHROPIC_BASE_URL GITHUB_API_URL AWS_ENDPOINT_URL AWS_CONFIG_FILE LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES PATH HOME TMPDIR NODE_OPTIONS NODE_PATH NODE_ENV PERL5OPT PERL5LIB PYTHONPATH PYTHONSTARTUP PYTHONINSPECT PYTHONBREAKPOINT GIT_SSH_COMMAND GIT_SSH GIT_EXEC_PATH GIT_EXTERNAL_DIFF GIT_ASKPASS GIT_CONFIG_COUNT GIT_DIR http_proxy https_proxy ALL_PROXY NO_PROXY no_proxy SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE SSLKEYLOGFILE BASH_ENV ENV PS4 PROMPT_COMMAND IFS SHELLOPTS BASHOPTS CDPATH SHELL EDITOR VISUAL PAGER MANPAGER LESSOPEN LESS BROWSER RUBYOPT RUBYLIB GEM_PATH BUNDLE_GEMFILE JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS CLASSPATH MAVEN_OPTS MAVEN_ARGS SBT_OPTS LUA_INIT LUA_PATH PHPRC PHP_INI_SCAN_DIR R_PROFILE_USER JULIA_LOAD_PATH TCLLIBPATH GOFLAGS GOENV CC CXX CFLAGS LDFLAGS RUSTC_WRAPPER RUSTFLAGS CARGO_HOME CARGO_TARGET_DIR CARGO_BUILD_RUSTC npm_config_script_shell NPM_CONFIG_USERCONFIG YARN_RC_FILENAME PIP_CONFIG_FILE PIP_INDEX_URL UV_INDEX_URL UV_PYTHON PIPENV_PIPFILE VIRTUAL_ENV SSH_ASKPASS SSH_AUTH_SOCK SUDO_ASKPASS RSYNC_RSH SVN_SSH HGRCPATH CVS_RSH DOCKER_HOST DOCKER_CONFIG CONTAINER_HOST BUILDKIT_HOST KUBECONFIG MYSQL_HOME MYSQL_PS1 PGHOST PGHOSTADDR PGPORT PGSERVICEFILE PGSYSCONFDIR PGPASSFILE PGOPTIONS PGSSLROOTCERT PSQLRC PSQL_PAGER PSQL_EDITOR REDISCLI_RCFILE SQLITE_HISTORY TF_CLI_CONFIG_FILE TF_CLI_ARGS TF_PLUGIN_CACHE_DIR PULUMI_HOME TERRAGRUNT_TFPATH XDG_CONFIG_HOME XDG_DATA_DIRS TERMINFO TERMCAP TERM LANGUAGE LOCPATH NLSPATH GCONV_PATH GLIBC_TUNABLES MALLOC_TRACE HOSTALIASES RES_OPTIONS LOCALDOMAIN OPENSSL_CONF OPENSSL_MODULES GNUPGHOME GPG_TTY CURL_HOME WGETRC NETRC RUST_LOG RUST_BACKTRACE DEBUG VERBOSE WHATEVER_NEW_TOOL_OPTS MOCHA_OPTIONS JEST_CONFIG ESLINT_USE_FLAT_CONFIG TS_NODE_PROJECT DENO_DIR BUN_INSTALL PNPM_HOME COMPOSER_HOME BABEL_ENV ELECTRON_RUN_AS_NODE";

#[test]
fn no_untyped_variable_is_a_calls_or_the_servers_starters_unless_it_is_known_to_be_harmless() {
    let names: Vec<&str> = HIJACKING.split_whitespace().collect();
    assert!(names.len() >= 119, "{}", names.len());
    for name in names {
        for key in ["agent", "pass"] {
            let text = format!("scope = \"s\"\n[env]\n{key} = [\n  \"CI\",\n  \"{name}\"]\n");
            let error = Document::parse(&text).expect_err(name);
            assert_eq!((error.0.len(), error.0[0].line), (1, 5), "{name}: {error:?}");
            assert!(error.0[0].message.contains(name), "{name}: {error:?}");
        }
    }
    for name in ["LOG_LEVEL", "NO_COLOR", "LANG", "LC_ALL", "TZ", "CI", "AWS_REGION"] {
        let text = format!("scope = \"s\"\n[env]\nagent = [\"{name}\"]\npass = [\"{name}\"]\n");
        assert!(Document::parse(&text).is_ok(), "{name}");
    }
}

#[test]
fn a_type_bounds_a_variable_and_never_opens_what_decides_code() {
    for (typed, line) in [
        ("agent = { DEPTH = \"{int:1..9}\" }", None),
        ("agent = { NODE_ENV = \"{enum:test|production}\" }", None),
        ("pass = { REGION = \"{enum:eu|us}\", API = \"https://{host:a.example.com|*.corp}/v1\" }", None),
        ("agent = { DEPTH = \"*\" }", Some(3)),
        ("agent = { DEPTH = \"x-*\" }", Some(3)),
        ("agent = { DEPTH = \"{int}\" }", Some(3)),
        ("agent = { DEPTH = \"{nothing:1}\" }", Some(3)),
        ("agent = { PATH = \"{enum:/usr/bin}\" }", Some(3)),
        ("agent = { LD_PRELOAD = \"{path:/usr/lib/*.so}\" }", Some(3)),
        ("agent = { NODE_OPTIONS = \"{enum:a|b}\" }", Some(3)),
        ("pass = { https_proxy = \"{enum:a|b}\" }", Some(3)),
    ] {
        let text = format!("scope = \"s\"\n[env]\n{typed}\n");
        match (Document::parse(&text), line) {
            (Ok(_), None) => {}
            (Err(error), Some(line)) => assert_eq!(error.0[0].line, line, "{typed}: {error:?}"),
            (got, _) => panic!("{typed}: {got:?}"),
        }
    }
    let policy = firm(&rule("[[\"true\"]]", "[env]\nagent = { DEPTH = \"{int:1..9}\" }"));
    for (text, fits) in [("1", true), ("9", true), ("10", false), ("", false), ("1;id", false), ("-1", false)]
    {
        let request = Request {
            command: vec!["true".to_owned()],
            env: [("DEPTH".to_owned(), text.to_owned())].into(),
            ..Request::default()
        };
        let facts =
            [SecretFacts { name: SecretName::parse("app/key").unwrap(), env: None, description: None }];
        assert_eq!(matches!(policy.decide(&request, &facts), Decision::Allow(_)), fits, "{text}");
    }
}

#[test]
fn typed_arguments_are_what_they_say() {
    for (element, argument, covered) in [
        ("{int:1..100}", "1", true),
        ("{int:1..100}", "100", true),
        ("{int:1..100}", "101", false),
        ("{int:1..100}", "0", false),
        ("{int:1..100}", "007", false),
        ("{int:1..100}", "+1", false),
        ("{int:1..100}", "-1", false),
        ("{int:1..100}", "1\n", false),
        ("{int:1..100}", "1e1", false),
        ("{int:1..100}", "\u{661}", false),
        ("{int:0..18446744073709551615}", "99999999999999999999", false),
        ("--limit={int:1..9}", "--limit=3", true),
        ("--limit={int:1..9}", "--limit=3 --all", false),
        ("{enum:a|ab|-x}", "ab", true),
        ("{enum:a|ab|-x}", "-x", true),
        ("{enum:a|ab|-x}", "b", false),
        ("{enum:a|ab}{enum:b|c}", "abc", true),
        ("{enum:a|ab}{enum:b|c}", "ab", true),
        ("{enum:a|ab}{enum:b|c}", "a", false),
        ("{host:a.example.com|*.corp}", "a.example.com", true),
        ("{host:a.example.com|*.corp}", "A.Example.com", true),
        ("{host:a.example.com|*.corp}", "db.corp", true),
        ("{host:a.example.com|*.corp}", "db.eu.corp", true),
        ("{host:a.example.com|*.corp}", "corp", false),
        ("{host:a.example.com|*.corp}", ".corp", false),
        ("{host:a.example.com|*.corp}", "evil.test/.corp", false),
        ("{host:a.example.com|*.corp}", "user@db.corp", false),
        ("{host:a.example.com|*.corp}", "db.corp.evil.test", false),
        ("{host:*.example.com}", "a.example.com", true),
        ("{host:*.example.com}", "a.b.example.com", false),
        ("https://{host:a|b}/v{int:1..2}/x", "https://b/v2/x", true),
        ("https://{host:a|b}/v{int:1..2}/x", "https://a@evil/v1/x", false),
        ("{path:reports/*.sql}", "reports/a.sql", true),
        ("{path:reports/*.sql}", "reports/b/a.sql", false),
        ("{path:reports/**/*.sql}", "reports/b/c/a.sql", true),
        ("{path:reports/*.sql}", "reports/../a.sql", false),
        ("{path:reports/*.sql}", "/reports/a.sql", false),
        ("{path:reports/*.sql}", "./reports/a.sql", false),
        ("{path:reports/*.sql}", "reports//a.sql", false),
        ("{path:reports/*.sql}", "reports/a\n.sql", false),
        ("{path:*.sql}", "a.sql", true),
        ("{path:*.sql}", "-a.sql", false),
        ("{path:*.sql}", "@a.sql", false),
        ("{path:*.sql}", "~a.sql", false),
        ("{path:/srv/data/*}", "/srv/data/x", true),
        ("{path:/srv/data/*}", "/srv/data/../x", false),
        ("{path:/srv/data/*}", "srv/data/x", false),
        ("--file={path:in/*.csv}", "--file=in/a.csv", true),
        ("--file={path:in/*.csv}", "--file=/in/a.csv", false),
        ("{{a}}", "{a}", true),
        ("{{a}}", "{{a}}", false),
        ("{{\"id\": {int:1..9}}}", "{\"id\": 3}", true),
    ] {
        let pattern = ArgvPattern::parse(&["x".to_owned(), element.to_owned()])
            .unwrap_or_else(|e| panic!("{element}: {e}"));
        let command = ["x".to_owned(), argument.to_owned()];
        assert_eq!(pattern.matches(&command, None), covered, "{element} {argument:?}");
        assert!(pattern.matches(&pattern.example(), None), "{element}: {:?}", pattern.example());
    }
}

#[test]
fn types_that_are_none_are_refused_with_their_line() {
    for element in [
        "{int}",
        "{int:}",
        "{int:1}",
        "{int:9..1}",
        "{int:-1..9}",
        "{int:01..9}",
        "{int:a..b}",
        "{enum}",
        "{enum:}",
        "{enum:a|}",
        "{host:}",
        "{host:*}",
        "{host:*.com}",
        "{host:*.co.uk}",
        "{host:*.github.io}",
        "{host:*.vercel.app}",
        "{host:*.s3.amazonaws.com}",
        "{host:*.0.0.1}",
        "{host:a/b}",
        "{host:a:1}",
        "{host:-a}",
        "{path:}",
        "{path:../x}",
        "{path:a/../b}",
        "{path:a//b}",
        "{path:~/x}",
        "{path:a**b/c}",
        "{path:**/a/**}",
        "{path:a/*}x",
        "{word:x}",
        "{a",
        "a}",
        "{int:1..2}*",
        "*{enum:a|b}",
        "{}",
        "{ a: .b }",
    ] {
        let commands = format!("[[\"true\"],\n  [\"true\", {element:?}]]");
        let error = Document::parse(&rule(&commands, "")).expect_err(element);
        assert_eq!(error.0[0].line, 6, "{element}: {error:?}");
        assert!(error.0[0].message.contains(element), "{element}: {error:?}");
    }
}

#[test]
fn a_sealed_name_in_braces_is_itself_and_others_are_braces() {
    let text = "scope = \"s\"\n[[allow]]\nsecrets = [\"ai/*\"]\ndeliver = \"sealed\"\nhosts = [\"api.example.com\"]\ncommands = [[\"curl\", \"-H\", \"X: {{ai/key}}\", \"-d\", \"{{other}}\"]]\n";
    let document = Document::parse(text).unwrap();
    let pattern = &document.allow[0].commands.as_ref().unwrap()[0];
    let call = |header: &str, body: &str| ["curl", "-H", header, "-d", body].map(str::to_owned).to_vec();
    assert!(pattern.matches(&call("X: {{ai/key}}", "{other}"), None));
    assert!(!pattern.matches(&call("X: {ai/key}", "{other}"), None));
    assert!(!pattern.matches(&call("X: {{ai/key}}", "{{other}}"), None));
    assert!(pattern.matches(&pattern.example(), None));
}

#[test]
fn a_policy_of_before_goes_on_and_says_what_it_lost() {
    let text = rule(
        "[[\"jq\", \"{a: .b}\"], [\"true\"]]",
        "[env]\nagent = [\"TAR_OPTIONS\", \"LOG_LEVEL\"]\npass = [\"NODE_OPTIONS\", \"CI\"]",
    );
    assert!(Document::parse(&text).is_err(), "it is not applied again as it stands");
    let document = Document::parse_as(&text, Edition::BeforeTypes, &Services::new()).unwrap();
    let resolved =
        Resolved { programs: [("jq".to_owned(), "/usr/bin/jq".into())].into(), ..Resolved::default() };
    let policy = Policy::new(document, resolved);
    let facts = [SecretFacts { name: SecretName::parse("app/key").unwrap(), env: None, description: None }];
    let ask = |name: &str| {
        let request = Request {
            command: ["jq", "{a: .b}"].map(str::to_owned).to_vec(),
            stdin: Some("text".to_owned()),
            env: [(name.to_owned(), "x".to_owned())].into(),
            ..Request::default()
        };
        policy.decide(&request, &facts)
    };
    let Decision::Allow(allowed) = ask("LOG_LEVEL") else { panic!("it goes on") };
    let terms = allowed.terms();
    assert_eq!(terms.pass_env.names().map(|name| name.as_str()).collect::<Vec<_>>(), ["CI"]);
    assert_eq!(terms.promise, Promise::BestEffort);
    assert!(matches!(ask("TAR_OPTIONS"), Decision::Deny(denial) if denial.code == DenyCode::EnvNotAllowed));
    let notes = policy.notes_of_an_earlier_version(Edition::BeforeTypes).join("\n");
    for words in ["TAR_OPTIONS", "NODE_OPTIONS", "standard input"] {
        assert!(notes.contains(words), "{notes}");
    }
    assert!(!notes.contains("LOG_LEVEL"), "{notes}");
}

#[test]
fn standard_input_of_a_call_is_closed_unless_the_rule_says_text() {
    let facts = [SecretFacts { name: SecretName::parse("app/key").unwrap(), env: None, description: None }];
    for (more, stdin, code) in [
        ("", Some("code"), Some(DenyCode::StdinNotAllowed)),
        ("stdin = \"none\"", Some("code"), Some(DenyCode::StdinNotAllowed)),
        ("stdin = \"text\"", Some("code"), None),
        ("", Some(""), None),
        ("", None, None),
    ] {
        let policy = firm(&rule(&format!("[[\"python3\"]]\n{more}"), ""));
        let request = Request {
            command: vec!["python3".to_owned()],
            stdin: stdin.map(str::to_owned),
            ..Request::default()
        };
        match (policy.decide(&request, &facts), code) {
            (Decision::Allow(_), None) => {}
            (Decision::Deny(denial), Some(code)) => assert_eq!(denial.code, code, "{more} {stdin:?}"),
            (got, _) => panic!("{more} {stdin:?}: {got:?}"),
        }
    }
    let without = rule("[[\"cat\"]]", "").replace("\"app/key\"", "");
    let request =
        Request { command: vec!["cat".to_owned()], stdin: Some("x".to_owned()), ..Request::default() };
    assert!(
        matches!(firm(&without).decide(&request, &[]), Decision::Allow(_)),
        "no secret, no code that has one"
    );
}

/// Who asks × what the rule is: the whole table.
#[test]
fn what_is_the_operators_alone_is_reached_with_a_proof_alone() {
    let off = "scope = \"s\"\n[[allow]]\nid = \"agent\"\nsecrets = []\ndeliver = \"env\"\ncommands = [[\"claude\", \"**\"]]\nsandbox = \"off\"\n";
    let any = rule("\"any\"", "");
    let proof = Asker::Operator(OperatorProof::of_an_opened_vault());
    let facts = [SecretFacts { name: SecretName::parse("app/key").unwrap(), env: None, description: None }];
    for (text, secrets, asker, allowed) in [
        (off, vec![], Asker::Tool, false),
        (off, vec![], Asker::TokenHolder, false),
        (off, vec![], proof, true),
        (any.as_str(), vec!["app/key"], Asker::Tool, true),
        (any.as_str(), vec!["app/key"], Asker::TokenHolder, false),
        (any.as_str(), vec!["app/key"], proof, true),
        (any.as_str(), vec![], Asker::TokenHolder, true),
    ] {
        let policy = firm(text);
        let request = Request {
            command: vec!["claude".to_owned()],
            secrets: Some(secrets.iter().map(|name| SecretName::parse(name).unwrap()).collect()),
            resolved_program: Some("/usr/bin/claude".into()),
            asker,
            ..Request::default()
        };
        let decision = policy.decide(&request, &facts);
        assert_eq!(matches!(decision, Decision::Allow(_)), allowed, "{text} {secrets:?} {asker:?}");
        if let Decision::Deny(denial) = decision {
            assert_eq!(denial.code, DenyCode::CommandNotAllowed);
            assert!(denial.allowed.is_empty() && !denial.message.contains("agent"), "{denial:?}");
        }
    }
    assert!(firm(off).listing(&facts).is_empty(), "it is in no list");
    let explained =
        firm(off).explain(&Request { command: vec!["claude".to_owned()], ..Request::default() }, &[]);
    assert!(
        explained.ruling == Ruling::Allowed
            && explained.steps.last().unwrap().contains("over MCP it is refused")
    );
}

#[test]
fn the_operators_word_is_refused_where_the_caller_chooses_and_shown_as_theirs() {
    for (commands, more, applied) in [
        ("[[\"tool\", \"a\"]]", "", true),
        ("[[\"tool\", \"*\"]]", "", true),
        ("[[\"tool\", \"{int:1..9}\"]]", "[sandbox]\nnetwork = \"open\"", true),
        ("[[\"tool\", \"a\"]]", "[sandbox]\nnetwork = \"open\"", true),
        ("[[\"tool\", \"*\"]]", "[sandbox]\nnetwork = \"open\"", false),
        ("[[\"tool\", \"x-*\"]]", "[sandbox]\nmode = \"off\"", false),
        ("[[\"tool\", \"**\"]]", "", false),
        ("[[\"tool\", \"a\"], [\"tool\", \"b\", \"**\"]]", "", false),
        ("\"any\"", "", false),
        ("[[\"tool\", \"a\"]]\nstdin = \"text\"", "", false),
    ] {
        let text = rule(&format!("{commands}\nreviewed = true"), more);
        let line = text.lines().position(|line| line == "reviewed = true").unwrap() + 1;
        match Document::parse(&text) {
            Ok(_) => assert!(applied, "{text}"),
            Err(error) => {
                assert!(!applied && error.0[0].line == line, "{text}: {error:?}");
            }
        }
    }
    let policy = firm(&rule("[[\"tool\", \"a\"]]\nreviewed = true", ""));
    assert_eq!(policy.promises()[0].1.promise, Promise::BestEffort, "a word that nobody gave");
    let mut resolved = policy.resolved().clone();
    let mark = ProgramMark { sha256: "11".repeat(32), stamp: "1".to_owned() };
    let review = Review {
        by: "operator:1000".to_owned(),
        at: "2026-01-02T03:04:05Z".to_owned(),
        programs: [(PathBuf::from("/usr/bin/tool"), mark)].into(),
    };
    resolved.reviews.insert(policy.document().allow[0].words(), review);
    let spoken = Policy::new(policy.document().clone(), resolved.clone());
    let got = spoken.promises().remove(0).1;
    assert_eq!(got.promise, Promise::ReviewedByOperator);
    assert_eq!(got.why.as_deref(), Some("on the word of operator:1000, 2026-01-02T03:04:05Z"));
    let changed = Ground { changed: [PathBuf::from("/usr/bin/tool")].into(), ..Ground::default() };
    assert_eq!(spoken.on(changed).promises()[0].1.promise, Promise::BestEffort, "another program, no word");
    let other = Document::parse(&rule("[[\"tool\", \"b\"]]\nreviewed = true", "")).unwrap();
    assert_eq!(
        Policy::new(other, resolved).promises()[0].1.promise,
        Promise::BestEffort,
        "another rule, no word"
    );
}

#[test]
fn a_rule_from_the_command_line_takes_the_operators_word_back_where_it_opens_the_sandbox() {
    let scope = ScopeName::parse("s").unwrap();
    let text = rule("[[\"tool\", \"a\"]]\nreviewed = true", "");
    let new = |network, write: &[&str]| NewRule {
        secrets: vec!["app/key".into()],
        deliver: DeliveryMode::Env,
        command: Some(vec!["other".into()]),
        network,
        write: write.iter().map(|path| (*path).to_owned()).collect(),
        ..NewRule::default()
    };
    let after = |rule: NewRule| Document::parse(&add_rule(Some(&text), &scope, &rule).unwrap()).unwrap();
    let beside = after(new(None, &[]));
    assert!(beside.allow[0].reviewed && !beside.allow[1].reviewed, "a rule of its own has no word");
    for opened in [after(new(Some(Network::Open), &[])), after(new(None, &["/srv"]))] {
        assert!(!opened.allow[0].reviewed);
        let said = changes(Some(&Document::parse(&text).unwrap()), &opened);
        assert!(
            said.iter().any(|change| change.text.starts_with('-') && change.text.contains("reviewed by you"))
        );
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_worked_on() {
    let long = format!("scope = \"s\"\ndescription = \"{}\"\n", "x".repeat(256 << 10));
    let error = Document::parse(&long).unwrap_err();
    assert!(error.0[0].message.contains("262144"), "{error:?}");
    let one = "[[allow]]\nsecrets=[\"a\"]\ndeliver=\"env\"\ncommands=[[\"true\"]]\n";
    let most = format!("scope = \"s\"\n{}", one.repeat(1000));
    assert!(Document::parse(&most).is_ok());
    let error = Document::parse(&format!("{most}{one}")).unwrap_err();
    assert!(error.0[0].message.contains("1000") && error.0[0].line == 2 + 4 * 1000, "{error:?}");
    let patterns = format!(
        "scope = \"s\"\n{}",
        one.replace("[[\"true\"]]", &format!("[{}]", "[\"true\"],".repeat(1001)))
    );
    assert!(Document::parse(&patterns).unwrap_err().0[0].message.contains("1000"));
}
