//! Values with a structure, as tools make them: what of each is used by itself is masked by itself, and what stands
//! beside it is not.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use proptest::prelude::*;

use super::{super::taken_apart, set};

/// A value, what of it is a secret, and what is not.
struct Case {
    name: &'static str,
    value: String,
    masked: Vec<String>,
    plain: Vec<String>,
}

fn case(name: &'static str, value: &str, masked: &[&str], plain: &[&str]) -> Case {
    let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Case { name, value: value.to_owned(), masked: all(masked), plain: all(plain) }
}

/// Around a part, as programs print it.
const AROUND: [(&str, &str); 3] = [("", ""), ("Authorization: Bearer ", "\n"), ("key is '", "', try again")];

/// What of a case does not hold.
fn failures(case: &Case) -> Vec<String> {
    let set = set(&[case.value.as_bytes()]);
    let mut failed = Vec::new();
    let mut same = |text: &str, expected: &str| {
        let out = set.text(text).into_inner();
        if out != expected {
            failed.push(format!("{}: {text:?} comes out as {out:?}", case.name));
        }
    };
    for part in &case.masked {
        for (before, behind) in AROUND {
            same(&format!("{before}{part}{behind}"), &format!("{before}[redacted:s0]{behind}"));
        }
    }
    case.plain.iter().for_each(|neighbour| same(neighbour, neighbour));
    same(&case.value, "[redacted:s0]");
    failed
}

#[track_caller]
fn hold(cases: &[Case]) {
    let failed: Vec<String> = cases.iter().flat_map(failures).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn documents() {
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: demo\nclusters:\n- name: demo\n  cluster:\n    server: https://10.0.0.1:6443\n    \
         certificate-authority-data: {}\nusers:\n- name: deployer\n  user:\n    token: k8sTok9vQ2mZ7xR4tY8uW1sL5dF3gH6jK0pB\n",
        STANDARD.encode(format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa\n".repeat(9)
        ))
    );
    hold(&[
        case(
            "kubeconfig",
            &kubeconfig,
            &["k8sTok9vQ2mZ7xR4tY8uW1sL5dF3gH6jK0pB"],
            &[
                "apiVersion: v1\nkind: Pod\nkind: Config\n",
                "name: demo",
                "deployer",
                "https://10.0.0.1:6443",
                "token: ",
                "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa",
            ],
        ),
        case(
            "Secrets Manager",
            r#"{"username":"admin","password":"Xy7!kQ2mZp4w","engine":"postgres","host":"db.internal.example.com","port":5432,"dbname":"production"}"#,
            &["Xy7!kQ2mZp4w"],
            &["admin", "postgres", "db.internal.example.com", "5432", "production", "password"],
        ),
        case(
            "docker config.json",
            &format!(
                r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}}}}}}"#,
                STANDARD.encode("robot:Pq77-zzK1-mm02")
            ),
            &["Pq77-zzK1-mm02", "cm9ib3Q6UHE3Ny16eksxLW1tMDI="],
            &["robot", "https://index.docker.io/v1/", "auths", "auth"],
        ),
        case(
            "JSON lines",
            "{\"name\":\"a\",\"api_key\":\"first-Key-17\"}\n{\"name\":\"b\",\"api_key\":\"second-Key-18\"}\n",
            &["first-Key-17", "second-Key-18"],
            &["name", "api_key"],
        ),
        case(
            "a Kubernetes Secret",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\ndata:\n  username: YWRtaW5pc3RyYXRvci0x\n  password: Q2hhbmdlLW1lLTQyIQ==\n  .env: QVBJX1RPS0VOPXRva18xMjM0LWFiY2QKUE9SVD0zMDAwCg==\n",
            &["Change-me-42!", "Q2hhbmdlLW1lLTQyIQ==", "tok_1234-abcd"],
            &["kind: Secret", "Opaque", "apiVersion: v1", "administrator-1", "PORT=3000", "metadata:"],
        ),
        case(
            "environment of a container",
            "containers:\n- name: app\n  env:\n  - name: DB_PASSWORD\n    value: 'it''s-9-lives'\n  - name: LOG_LEVEL\n    value: verbose-mode\n",
            &["it's-9-lives"],
            &["DB_PASSWORD", "verbose-mode", "LOG_LEVEL", "name: app"],
        ),
        case(
            "YAML with anchors, tags, folds and flow",
            "base: &b {token: !!str \"a\\u0062c-9-def\", port: 8080}\nother: {<<: *b, region: us-east-1}\nprivate: |-\n  line-one-8Xq3\n  line-two-3Lm9\nfolded: >\n  just some words\n  over lines\n",
            &["abc-9-def"],
            &["region: us-east-1", "just some words", "8080"],
        ),
        case(
            "TOML",
            "title = \"demo\"\n[server]\nhost = \"example.com\"\n[database]\npassword = '''p4ss-w0rt!'''\nkeys = { api_key = \"tiny-Key-5\" }\n",
            &["p4ss-w0rt!", "tiny-Key-5"],
            &["demo", "example.com", "[database]", "title"],
        ),
        case(
            "1Password item",
            r#"{"title":"Prod","fields":[{"id":"username","label":"username","value":"wendy"},{"id":"password","type":"CONCEALED","label":"password","value":"my-pw-2026"}]}"#,
            &["my-pw-2026"],
            &["wendy", "CONCEALED", "Prod", "password"],
        ),
    ]);
}

#[test]
fn settings() {
    hold(&[
        case(
            ".env kept as one secret",
            "# production\nNODE_ENV=production\nPORT=3000\nAPP_NAME=\"My Shop\"\nexport SESSION_SECRET='s3ss10n-of-Mine'\nDATABASE_URL=postgres://app:hunter2hunter@db.internal:5432/app?sslmode=require\nLOG_LEVEL=debug\nSTRIPE_KEY=sk_live_51HxT9aQ2w8Zk # live\n",
            &["s3ss10n-of-Mine", "hunter2hunter", "sk_live_51HxT9aQ2w8Zk"],
            &[
                "PORT=3000",
                "NODE_ENV=production",
                "My Shop",
                "LOG_LEVEL=debug",
                "db.internal:5432",
                "sslmode=require",
                "# production",
            ],
        ),
        case(
            "WireGuard",
            "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.0.0.2/32\nDNS = 1.1.1.1\n\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nPresharedKey = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=\nEndpoint = vpn.example.com:51820\nAllowedIPs = 0.0.0.0/0\n",
            &["yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="],
            &[
                "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
                "[Interface]",
                "vpn.example.com:51820",
                "10.0.0.2/32",
            ],
        ),
        case(
            "AWS credentials",
            "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\nregion = us-east-1\n[staging]\naws_secret_access_key = 7MDENGbPxRfiCYEXAMPLEKEYwJalrXUtnFEMI/K0\n",
            &["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "7MDENGbPxRfiCYEXAMPLEKEYwJalrXUtnFEMI/K0"],
            &["[default]", "region = us-east-1", "aws_access_key_id", "staging"],
        ),
        case(
            ".npmrc",
            "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=npm_tok-Q1w2E3\nalways-auth=true\n//npm.example.com/:_password=aHVudGVyMi1pbi1iNjQ=\n",
            &["npm_tok-Q1w2E3", "hunter2-in-b64", "aHVudGVyMi1pbi1iNjQ="],
            &["registry=https://registry.npmjs.org/", "always-auth=true"],
        ),
        case(
            "properties",
            "spring.datasource.url=jdbc:postgresql://db:5432/app?user=app&password=q-9-pass\nspring.datasource.password = Spring-4-all\nserver.port: 8080\nlogging.level.root=INFO\n",
            &["q-9-pass", "Spring-4-all"],
            &["server.port: 8080", "logging.level.root=INFO", "jdbc:postgresql://db:5432/app"],
        ),
        case(
            "tfvars",
            "region      = \"eu-central-1\"\ndb_password = \"tf-Var-33\"\ntags = {\n  team = \"platform\"\n}\nuser_data = <<EOF\necho hello\nEOF\n",
            &["tf-Var-33"],
            &["eu-central-1", "platform", "echo hello", "region"],
        ),
        case(
            "HTTP headers",
            "Host: api.example.com\nAuthorization: Bearer tok-17-abcdef\nX-Api-Key: 5ecret-5ecret\nCookie: theme=dark-mode; session=S3SS10N-f8e7d6c5b4a3\nAccept: application/json\n",
            &["tok-17-abcdef", "5ecret-5ecret", "S3SS10N-f8e7d6c5b4a3"],
            &["Host: api.example.com", "Accept: application/json", "dark-mode", "Cookie: "],
        ),
        case(
            "wp-config.php",
            "<?php\ndefine( 'DB_NAME', 'wordpress' );\ndefine( 'DB_PASSWORD', 'wp-Pass-77' );\ndefine('AUTH_KEY', 'a b?c 9-unique phrase');\n$table_prefix = 'wp_';\n",
            &["wp-Pass-77", "a b?c 9-unique phrase"],
            &["wordpress", "DB_NAME", "$table_prefix = 'wp_';"],
        ),
        case(
            "settings.py",
            "DEBUG = False\nSECRET_KEY = 'django-insecure-#k9!x2'\nDATABASES = {\n    'default': {\n        'NAME': 'shop',\n        'PASSWORD': 'dj-Pass-77',\n    }\n}\n",
            &["django-insecure-#k9!x2", "dj-Pass-77"],
            &["DEBUG = False", "shop", "'default': {"],
        ),
        case(
            "redis.conf",
            "bind 127.0.0.1\nport 6379\nrequirepass redis-Pass-8\nappendonly yes\n",
            &["redis-Pass-8"],
            &["bind 127.0.0.1", "port 6379"],
        ),
    ]);
}

#[test]
fn connections() {
    hold(&[
        case(
            "Azure Storage",
            "DefaultEndpointsProtocol=https;AccountName=mystore;AccountKey=Zk9dQ2xT7vLm4ZkW8aB3cD5eF7gH9iJ1Kx2Lm9Qp4Rt8a+b/cA==;EndpointSuffix=core.windows.net",
            &["Zk9dQ2xT7vLm4ZkW8aB3cD5eF7gH9iJ1Kx2Lm9Qp4Rt8a+b/cA=="],
            &["mystore", "core.windows.net", "DefaultEndpointsProtocol=https", "EndpointSuffix"],
        ),
        case(
            "SQL Server",
            "Server=tcp:db.example.com,1433;Initial Catalog=shop;User ID=sa;Password=\"Str0ng;Pass\";Encrypt=True",
            &["Str0ng;Pass"],
            &["Initial Catalog=shop", "db.example.com", "Encrypt=True"],
        ),
        case(
            "ODBC",
            "Driver={ODBC Driver 18};Server=db;Uid=app;Pwd={a}}b;c-91};",
            &["a}b;c-91"],
            &["ODBC Driver 18", "Uid=app"],
        ),
        case(
            "libpq",
            "host=db.internal port=5432 user=app password='it is s3cret' dbname=shop sslmode=require",
            &["it is s3cret"],
            &["host=db.internal", "sslmode=require", "dbname=shop"],
        ),
        case(
            "MySQL for Go",
            "app:S3cr3t-for-go@tcp(db.internal:3306)/shop?parseTime=true",
            &["S3cr3t-for-go"],
            &["db.internal:3306", "parseTime=true"],
        ),
        case(
            "MongoDB",
            "mongodb://svc:m0ng0%2Fpass@a.example.net:27017,b.example.net:27017/prod?replicaSet=rs0&authSource=admin",
            &["m0ng0%2Fpass", "m0ng0/pass"],
            &["a.example.net:27017", "b.example.net:27017", "replicaSet=rs0", "authSource=admin"],
        ),
        case(
            "amqp hosts",
            "amqp://u:rabbit-P1@a:5672,amqp://u:rabbit-P2@b:5672",
            &["rabbit-P1", "rabbit-P2"],
            &["a:5672"],
        ),
        case(
            "Redis cluster",
            "cache.example.com:6380,password=Redis=Pass+7,ssl=True,abortConnect=False",
            &["Redis=Pass+7"],
            &["cache.example.com:6380", "ssl=True"],
        ),
        case(
            "JDBC",
            "jdbc:sqlserver://db.example.com:1433;databaseName=shop;user=sa;password=jdbc-Pass-1;encrypt=true",
            &["jdbc-Pass-1"],
            &["databaseName=shop", "db.example.com:1433"],
        ),
        case(
            "Oracle",
            "jdbc:oracle:thin:scott/t1ger-pass@db.example.com:1521/ORCL",
            &["t1ger-pass"],
            &["scott", "db.example.com:1521"],
        ),
        case(
            "a password with a slash and an at",
            "postgres://app:p/q#r@s-7x@db.internal/app",
            &["p/q#r@s-7x"],
            &["db.internal/app", "postgres://"],
        ),
        case(
            "a token for a user",
            "https://ghp_x7Kq2LmZ9vT4wR8sB1nC5dF6gH3jQ0pY2aE:x-oauth-basic@github.com/org/repo.git",
            &["ghp_x7Kq2LmZ9vT4wR8sB1nC5dF6gH3jQ0pY2aE"],
            &["github.com/org/repo.git", "x-oauth"],
        ),
        case(
            "a webhook",
            "https://hooks.example.com/services/T0/B0/9fQ2xT7vLm4ZkW8hN3pR6sYb",
            &["9fQ2xT7vLm4ZkW8hN3pR6sYb"],
            &["https://hooks.example.com/services", "hooks.example.com"],
        ),
        case(
            "a signed URL",
            "https://st.blob.example.net/c/b.txt?sv=2022-11-02&sp=r&sig=Zk9dQ2xT7vLm4ZkW8aB3%2FD5eF7gH9iJ1Kx2%3D",
            &["Zk9dQ2xT7vLm4ZkW8aB3%2FD5eF7gH9iJ1Kx2%3D", "Zk9dQ2xT7vLm4ZkW8aB3/D5eF7gH9iJ1Kx2="],
            &["sv=2022-11-02", "st.blob.example.net"],
        ),
        case(
            ".git-credentials",
            "https://wendy:gh-tok-Q1w2E3@github.com\nhttps://ci:gl-tok-Z9x8@gitlab.example.com\n",
            &["gh-tok-Q1w2E3", "gl-tok-Z9x8"],
            &["github.com", "gitlab.example.com", "wendy"],
        ),
        case(
            "Shadowsocks",
            "ss://YWVzLTI1Ni1nY206c2g0ZG93LVBhc3M@203.0.113.7:8388#home",
            &["sh4dow-Pass", "YWVzLTI1Ni1nY206c2g0ZG93LVBhc3M"],
            &["203.0.113.7:8388", "aes-256-gcm"],
        ),
        case(
            "Shadowsocks, all of it encoded",
            "ss://Y2hhY2hhMjAtaWV0Zi1wb2x5MTMwNTpzaDRkb3ctUGFzc0AyMDMuMC4xMTMuNzo4Mzg4#home",
            &["sh4dow-Pass"],
            &["203.0.113.7:8388", "chacha20-ietf-poly1305"],
        ),
        case(
            "a password in the query",
            "postgresql://app@/shop?host=/var/run/postgresql&password=Qu3ry-Pass",
            &["Qu3ry-Pass"],
            &["app", "/shop", "host=/var/run/postgresql"],
        ),
        case(
            "a password right behind its option",
            "mysqldump -h db.internal -P3306 -uapp -pB3hind-9fQ2x shop",
            &["B3hind-9fQ2x"],
            &["db.internal", "-P3306 -uapp", "mysqldump", "shop"],
        ),
        case(
            "otpauth",
            "otpauth://totp/Example:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Example&digits=6",
            &["JBSWY3DPEHPK3PXP"],
            &["alice@example.com", "issuer=Example", "digits=6"],
        ),
        case(
            "Kafka",
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"svc\" password=\"kafka-P4ss\";",
            &["kafka-P4ss"],
            &["PlainLoginModule required"],
        ),
    ]);
}

#[test]
fn columns_and_elements() {
    hold(&[
        case(
            "netrc",
            "machine github.com\n  login wendy\n  password netrc-P4ss\nmachine api.example.com login bot password other-P4ss\n",
            &["netrc-P4ss", "other-P4ss"],
            &["github.com", "wendy", "login", "machine"],
        ),
        case(
            "pgpass",
            "# comment\ndb.internal:5432:*:app:pg\\:pass-9\n*:*:*:ro:readonly-7x\n",
            &["pg:pass-9", "readonly-7x"],
            &["db.internal", "5432", "# comment"],
        ),
        case(
            "passwd-s3fs",
            "my-bucket:AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            &["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
            &["my-bucket"],
        ),
        case(
            "AWS console's CSV",
            "User name,Password,Access key ID,Secret access key,Console login link\nwendy,C0ns0le!pw,AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY,https://example.com/console\n",
            &["C0ns0le!pw", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
            &["wendy", "User name", "https://example.com/console"],
        ),
        case(
            "NuGet",
            "<?xml version=\"1.0\"?>\n<configuration>\n  <packageSources><add key=\"corp\" value=\"https://nuget.example.com/v3/index.json\" /></packageSources>\n  <packageSourceCredentials><corp>\n    <add key=\"Username\" value=\"build-agent\" />\n    <add key=\"ClearTextPassword\" value=\"nu&amp;get-P4ss\" />\n  </corp></packageSourceCredentials>\n</configuration>",
            &["nu&get-P4ss"],
            &[
                "build-agent",
                "https://nuget.example.com/v3/index.json",
                "corp",
                "ClearTextPassword",
                "configuration",
            ],
        ),
        case(
            "Maven",
            "<settings>\n  <servers>\n    <server>\n      <id>central-repo</id>\n      <username>deploy-user</username>\n      <password>mvn-&lt;P4ss&gt;</password>\n    </server>\n  </servers>\n</settings>",
            &["mvn-<P4ss>"],
            &["central-repo", "deploy-user", "<password>"],
        ),
        case(
            "a property list",
            "<plist><dict><key>AccountName</key><string>wendy-account</string><key>Password</key><string>pl-P4ssword</string></dict></plist>",
            &["pl-P4ssword"],
            &["wendy-account", "AccountName"],
        ),
        case(
            "app.config",
            "<connectionStrings>\n<add name=\"Main\" connectionString=\"Server=db;User Id=sa;Password=C0nn-str;\" providerName=\"System.Data.SqlClient\"/>\n</connectionStrings>",
            &["C0nn-str"],
            &["System.Data.SqlClient", "Server=db", "Main"],
        ),
        case(
            "recovery codes",
            "10293847\n56473829\n91827364\n",
            &["10293847", "56473829", "91827364"],
            &["12345678", "10293"],
        ),
    ]);
}

#[test]
fn keys_and_tokens() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\nNMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ\nqgtzJ6GR3eqoYSW9b9UMvkBpZODSctWSNGj3P7jRFDO5VoTwCQAWbFnOjDfH5Ulg\np2PKSQnSJP3AJLQNFNe7br1XbrhV//eO+t51mIpGSDCUv3E0DDFcWDTH9cXDTTlR\n-----END PRIVATE KEY-----\n";
    let line = "NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ";
    let account = format!(
        "{{\n  \"type\": \"service_account\",\n  \"project_id\": \"my-project\",\n  \"private_key_id\": \"0123456789abcdef0123456789abcdef01234567\",\n  \"private_key\": {},\n  \"client_email\": \"app@my-project.iam.gserviceaccount.com\",\n  \"client_id\": \"106912345678901234567\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\"\n}}\n",
        serde_json::to_string(pem).unwrap()
    );
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    let boundaries = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"];
    let account_plain = [
        "service_account",
        "my-project",
        "app@my-project.iam.gserviceaccount.com",
        "106912345678901234567",
        "https://oauth2.googleapis.com/token",
        "{\n  \"type\": \"service_account\",\n",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
    ];
    hold(&[
        case("PEM", pem, &[line, &line[..20], &line[30..50]], &boundaries),
        case("a service account", &account, &[line], &account_plain),
        case(
            "a service account in base64",
            &STANDARD.encode(&account),
            &[line],
            &[
                "eyJ0eXBlIjoic2VydmljZV9hY2NvdW50Iiw",
                "ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIsCiAgInByb2plY3RfaWQiOiAi",
            ],
        ),
        case(
            "PEM with escaped line feeds",
            &format!("FIREBASE_KEY=\"{}\"", pem.replace('\n', "\\n")),
            &[line],
            &boundaries,
        ),
        case(
            "PEM in a settings file",
            &format!("DEBUG=1\nTLS_KEY=\"{pem}\"\nPORT=3000\n"),
            &[line],
            &["DEBUG=1", "PORT=3000", boundaries[0]],
        ),
        case(
            "PEM in YAML",
            &format!("tls:\n  key: |\n    {}\n  port: 8443\n", pem.trim().replace('\n', "\n    ")),
            &[line],
            &["port: 8443", boundaries[0]],
        ),
        case(
            "a certificate with its key",
            &format!(
                "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----\n{pem}"
            ),
            &[line],
            &[
                "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ",
                "-----BEGIN CERTIFICATE-----",
            ],
        ),
        case(
            "a JWT",
            jwt,
            &[
                "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
                "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ",
            ],
            &[
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkFubmUifQ.other",
            ],
        ),
        case(
            "a seed phrase",
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
            &[
                "legal winner thank year wave sausage worth useful legal winner thank yellow",
                "legal\nwinner\nthank\nyear\nwave\nsausage\nworth\nuseful\nlegal\nwinner\nthank\nyellow",
                "1. legal\n2. winner\n3. thank\n4. year\n5. wave\n6. sausage\n7. worth\n8. useful\n9. legal\n10. winner\n11. thank\n12. yellow",
            ],
            &["legal", "winner thank you", "sausage"],
        ),
        case(
            "a long text with a token",
            &format!(
                "{}\nthe new token is sk-live-9fQ2xT7vLm4ZkW8hN3pR6sYb, don't share it.\n",
                "This is what the team wrote about how to deploy the application. ".repeat(12)
            ),
            &["sk-live-9fQ2xT7vLm4ZkW8hN3pR6sYb", "9fQ2xT7vLm4ZkW8hN3"],
            &["how to deploy the application", "the new token is"],
        ),
        case("percent", "ab%25cd%2Fzz91", &["ab%cd/zz91"], &["ab%cd"]),
    ]);
}

#[test]
fn lines_and_words_of_a_value_are_no_parts_by_being_lines() {
    let set = set(&[b"alpha-line-One1\n---\nend\ntrue\nomega-line-Two2"]);
    for text in ["backend trueish", "---", "end", "true"] {
        assert_eq!(set.text(text).get(), text);
    }
    for line in ["alpha-line-One1", "omega-line-Two2"] {
        assert_eq!(set.text(line).get(), "[redacted:s0]");
    }
}

/// Corpus of the fuzz target, which this test draws from, too.
fn corpus() -> Vec<Vec<u8>> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parts");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What formats are made of, where a mistake hurts most.
const SIGNS: [&str; 24] = [
    "\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "=",
    ";",
    "<",
    ">",
    "&",
    "%",
    "\\",
    "- ",
    "|\n",
    "@",
    "://",
    "\u{e9}",
    "\t",
    "<<EOF",
    "-----BEGIN ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No value, however broken, is more work than the bounds say, and none stops the reader.
    #[test]
    fn broken_values_are_taken_apart_within_bounds(
        picked in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..24), 1..6),
        nested in any::<bool>(),
    ) {
        let corpus = corpus();
        let mut value = Vec::new();
        for (file, at, sign) in picked {
            let text = &corpus[file.index(corpus.len())];
            let (before, behind) = text.split_at(at.index(text.len()));
            value.extend([before, SIGNS[sign].as_bytes(), behind].concat());
        }
        if nested {
            value = format!("key: {}", STANDARD.encode(&value)).into_bytes();
        }
        taken_apart(&value);
    }
}

#[test]
fn deep_and_wide_values_cost_what_the_bounds_say() {
    // Also what reads as itself again, as a list of words does.
    corpus().iter().for_each(|value| drop(taken_apart(value)));
    for piece in [
        "[",
        "{\"a\":",
        "- ",
        "a: {",
        "<a>",
        "\"",
        "a=b;",
        "a=b\n",
        "eyJ.",
        "://",
        "a:b@",
        "a,b\n",
        "-----BEGIN A-----",
    ] {
        taken_apart(piece.repeat(20_000).as_bytes());
    }
    let wide: String = (0..3000).map(|n| format!("password_{n}: s3cret-value-{n}\n")).collect();
    assert!(taken_apart(wide.as_bytes()).len() <= 512);
    let mut layers = "password=h1dden-deep".to_owned();
    for _ in 0..30 {
        layers = STANDARD.encode(&layers);
        taken_apart(layers.as_bytes());
    }
}
