//! `.env` and the generated files.

use pgstack_lab::STACK;
use pgstack_tests::doctor::names;

use super::trouble;

#[test]
fn a_generated_file_edited_by_hand() {
    trouble(async |patients| {
        let script = "echo '# mine' >> haproxy/haproxy.cfg";
        patients.breaks(patients.replica(), script, &["080"]).await;
    });
}

#[test]
fn an_env_that_cannot_be_read() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.sh(&format!("cd {STACK}; echo VIP_PREFIX=240 >> .env")).await.expect("broken");
        for machine in patients.but(replica) {
            names(machine, &["081"]).await;
        }
        // the node itself has no settings to look with, and says so
        let output = replica.run(&[&format!("{STACK}/doctor")]).await.expect("run");
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains("VIP_PREFIX"), "{}", output.stderr);
        replica.sh(&format!("sed -i '/^VIP_PREFIX=240/d' {STACK}/.env")).await.expect("mended");
    });
}

#[test]
fn secrets_that_everybody_can_read() {
    trouble(async |patients| patients.breaks(patients.replica(), "chmod 644 .env", &["082"]).await);
}

#[test]
fn a_password_that_differs() {
    trouble(async |patients| {
        let script = "cp -p .env .env.kept; sed -i 's/^KEEPALIVED_AUTH_PASS=.*/KEEPALIVED_AUTH_PASS=other123/' .env";
        let replica = patients.replica();
        replica.sh(&format!("cd {STACK}; {script}")).await.expect("broken");
        patients.show(&["084"]).await;
        replica.sh(&format!("cd {STACK}; mv .env.kept .env")).await.expect("mended");
    });
}

#[test]
fn a_superuser_password_that_differs() {
    trouble(async |patients| {
        let script = "cp -p .env .env.kept; sed -i 's/^POSTGRES_SUPERUSER_PASSWORD=.*/POSTGRES_SUPERUSER_PASSWORD=another-long-one-17/' .env";
        let replica = patients.replica();
        replica.sh(&format!("cd {STACK}; {script}")).await.expect("broken");
        for machine in patients.but(replica) {
            names(machine, &["003"]).await;
        }
        replica.sh(&format!("cd {STACK}; mv .env.kept .env")).await.expect("mended");
    });
}

#[test]
fn settings_of_the_dcs_that_differ() {
    trouble(async |patients| {
        let replica = patients.replica();
        replica.sh(&format!("cd {STACK}; echo POSTGRES_WORK_MEM=9MB >> .env")).await.expect("broken");
        patients.show(&["085"]).await;
        replica.sh(&format!("sed -i /^POSTGRES_WORK_MEM/d {STACK}/.env")).await.expect("mended");
    });
}

#[test]
fn an_interface_that_does_not_exist() {
    trouble(async |patients| {
        let replica = patients.replica();
        let script = "sed -i 's/^KEEPALIVED_INTERFACE=.*/KEEPALIVED_INTERFACE=eth9/' .env";
        replica.sh(&format!("cd {STACK}; cp -p .env .env.kept; {script}")).await.expect("broken");
        patients.show(&["086"]).await;
        replica.sh(&format!("cd {STACK}; mv .env.kept .env")).await.expect("mended");
    });
}

#[test]
fn a_password_that_is_short() {
    trouble(async |patients| {
        let everywhere = async |edit: &str| {
            let script = format!("cd {STACK}; {edit}; ./deploy");
            let deployed = patients.machines.iter().map(|machine| machine.sh(&script));
            futures_util::future::try_join_all(deployed).await.expect("deployed");
        };
        everywhere("echo HAPROXY_STATS_PASSWORD=a7k2q9 >>.env").await;
        patients.show(&["083"]).await;
        everywhere("sed -i /^HAPROXY_STATS_PASSWORD/d .env").await;
    });
}
