use super::{bits, is_guessable};

#[test]
fn what_people_choose_can_be_guessed() {
    for value in [
        "48291736",
        "20261126",
        "2026-11-26T10:15:00",
        "0000000000000000",
        "12345678901234567890",
        "Falcon27!granite",
        "falconenitarg27",
        "F4lc0n27!gr4n1t3",
        "FALCON-GRANITE-2026",
        "Tr0ub4dor&3",
        "correct horse battery staple",
        "correcthorsebatterystaple",
        "Correct-Horse-Battery-Staple1",
        "qwertyuiopasdfghjklzxcvbnm",
        "1qaz2wsx3edc4rfv5tgb6yhn",
        "!QAZ@WSX#EDC$RFV",
        "abcabcabcabcabcabcabcabcabcabc",
        "passwordpasswordpasswordpassword",
        "hunter2-hunter2",
        "Schmetterling2024!",
        "Summer2024!Summer2024!Summer2024!",
        "a-value-of-some-length",
        "postgres://app:hunter2@db.internal.example.com:5432/production",
        "https://api.example.com/v1/users",
        "{\"user\": \"reporting-service-account\", \"host\": \"db.internal\", \"password\": \"Winter-2025\"}",
        "DB_HOST=database.internal.example.com\nDB_USER=application\nDB_PASSWORD=Falcon27\n",
        "Server=db.internal;Database=production;User=application;Password=Falcon27",
        "AKIAIOSFODNN7EXAMPLE",
        "日本語のパスワードです",
        "contraseña-segura",
        "{\"pin\": 4829}",
        "9fQ2xT7v",
    ] {
        assert!(is_guessable(value.as_bytes()), "{value}: {} bits", bits(value.as_bytes()));
    }
}

#[test]
fn what_chance_chose_can_not() {
    for value in [
        "sk-proj-9fQ2xLw7Vb4NcT8mZr1KpY6hJd3GsA5eUo2W",
        "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "d41d8cd98f00b204e9800998ecf8427e",
        "550e8400-e29b-41d4-a716-446655440000",
        "ghp_0123Kx9fQ2xT7vLm4ZkW8hN3pR6sYb1Qz7w",
        "JBSWY3DPEHPK3PXPNR2GKZDI",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ7Kx2Lm9Qp4Rt8",
        "postgres://app:9fQ2xT7vLm4ZkW8h@db.internal:5432/app",
        "kqzjxvwbpmtrhgyfdlcnsokqzjwvxbtp",
        "8392017466519284730561829705384",
        "https://hooks.example.com/services/T0/B0/9fQ2xT7vLm4ZkW8hN3pR6sYb",
        "{\"type\": \"service_account\", \"private_key_id\": \"9fQ2xT7vLm4ZkW8hN3pR6sYb\"}",
        "granite pepper lantern orchid violin saddle walnut beacon harvest",
    ] {
        assert!(!is_guessable(value.as_bytes()), "{value}: {} bits", bits(value.as_bytes()));
    }
    let binary: Vec<u8> = (0..32u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(!is_guessable(&binary));
}

#[test]
fn more_of_a_value_is_never_less_and_the_longest_costs_little() {
    let text = "9fQ2xT7vLm4Z/kW8+hN3pR6sYb1 granite";
    let all: Vec<u32> = (0..=text.len()).map(|length| bits(&text.as_bytes()[..length])).collect();
    assert!(all.windows(2).all(|pair| pair[1] + 12 >= pair[0]), "{all:?}");
    assert!(bits(&vec![b'a'; 1 << 20]) < 40);
    assert!(bits("p@$$w0rd4!1".repeat(100_000).as_bytes()) < 60);
}

#[test]
fn the_documentation_says_the_bits() {
    let text = include_str!("../../../docs/redaction.md");
    for value in ["48291736", "Falcon27!granite", "correct horse battery staple"] {
        assert!(
            text.contains(&format!("| `{value}` | {} |", bits(value.as_bytes()))),
            "{value}: {}",
            bits(value.as_bytes())
        );
    }
}
