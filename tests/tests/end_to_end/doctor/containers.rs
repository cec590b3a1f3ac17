//! Containers that are not as Compose made them.

use super::trouble;

#[test]
fn a_stopped_haproxy() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker stop haproxy", &["010"]).await);
}

#[test]
fn a_removed_pooler() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker rm -f pgbouncer", &["010"]).await);
}

#[test]
fn a_stopped_patroni_of_a_replica() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker stop patroni", &["010"]).await);
}

#[test]
fn a_stopped_etcd() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker stop etcd", &["010"]).await);
}

#[test]
fn a_keepalived_that_does_not_run() {
    trouble(async |patients| patients.breaks(patients.replica(), "docker stop keepalived", &["010"]).await);
}

#[test]
fn a_haproxy_that_does_not_come_up() {
    trouble(async |patients| {
        let replica = patients.replica();
        // and the file is not what .env would make
        let script = "sed -i 's/^global/gloobal/' haproxy/haproxy.cfg; docker restart haproxy";
        patients.breaks(replica, script, &["011", "080"]).await;
    });
}

#[test]
fn a_container_that_is_older_than_the_compose_file() {
    trouble(async |patients| {
        // images are one of the things that should be the same everywhere
        let script =
            "docker commit pgbouncer pooler:mine; echo PGBOUNCER_IMAGE=pooler:mine >> .env; scripts/gen-compose";
        patients.breaks(patients.replica(), script, &["012", "084"]).await;
        let undo = "sed -i /pooler:mine/d .env; ./deploy";
        patients.replica().sh(&format!("cd {}; {undo}", pgstack_lab::STACK)).await.expect("as before");
    });
}

#[test]
fn a_container_that_compose_did_not_make() {
    trouble(async |patients| {
        let script = "image=$(docker inspect --format '{{.Config.Image}}' pgbouncer); docker rm -f pgbouncer; docker run -d \
                      --name pgbouncer -p 6432:6432 -v $PWD/pgbouncer:/etc/pgbouncer:ro $image";
        patients.breaks(patients.replica(), script, &["013"]).await;
    });
}

#[test]
fn a_service_that_has_not_read_its_new_file() {
    trouble(async |patients| {
        // a change that all nodes get, so that they agree; written, but nobody was told
        for machine in &patients.machines {
            let script = "sed -i '/^KEEPALIVED_PRIORITY/d' .env; echo KEEPALIVED_PRIORITY=$((150 - NODE)) >> .env";
            let script = format!("cd {}; NODE={}; {script}; scripts/gen-keepalived", pgstack_lab::STACK, machine.id());
            machine.sh(&script).await.expect("written");
        }
        patients.show(&["015"]).await;
        patients.mend().await;
        patients.are_healthy().await;
        for machine in &patients.machines {
            let script = format!("cd {}; sed -i '/^KEEPALIVED_PRIORITY/d' .env; ./deploy", pgstack_lab::STACK);
            machine.sh(&script).await.expect("as before");
        }
    });
}

#[test]
fn a_pooler_that_the_kernel_took_memory_from() {
    trouble(async |patients| {
        // what runs beside the pooler in its container eats its memory up
        let script =
            "docker update --memory 24m --memory-swap 24m pgbouncer; docker exec pgbouncer tail /dev/zero || true";
        patients.breaks(patients.replica(), script, &["014"]).await;
        let undo = format!("cd {}; docker rm -f pgbouncer; ./deploy", pgstack_lab::STACK);
        patients.replica().sh(&undo).await.expect("without the limit");
    });
}

#[test]
fn a_pooler_of_another_version() {
    trouble(async |patients| {
        // an image that was built anew under the same name
        let script = r#"image=$(docker inspect --format '{{.Config.Image}}' pgbouncer); docker tag $image kept:1
                      made=$(docker create $image); docker cp $made:/usr/sbin/pgbouncer /tmp/pgbouncer
                      version=$(docker exec pgbouncer pgbouncer --version | sed -n '1s/PgBouncer //p')
                      sed -i "s/$version/${version%?}$(((${version: -1} + 1) % 10))/g" /tmp/pgbouncer; docker cp /tmp/pgbouncer $made:/usr/sbin/pgbouncer
                      docker commit $made $image; docker rm $made; docker compose up -d --no-deps --force-recreate pgbouncer"#;
        let replica = patients.replica();
        replica.sh(&format!("cd {}; {script}", pgstack_lab::STACK)).await.expect("broken");
        patients.show(&["087"]).await;
        let same = "docker tag kept:1 $(docker inspect --format '{{.Config.Image}}' pgbouncer); docker rmi kept:1";
        replica.sh(same).await.expect("the same image as on the others");
        patients.mend().await;
    });
}
