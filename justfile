# Short names for what is done often. Everything here can be typed by hand as well: `just --show NAME`.

# what there is
default:
    @just --list --unsorted

# a working three-node cluster on this machine (arguments go to `lab up`)
up *args:
    ./dev up {{ args }}

# stop the cluster and delete what is on it
down *args:
    ./dev down {{ args }}

# every check: formatting, lints, all tests, documentation
test:
    ./dev test

# formatting and lints alone
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# build the images (arguments go to images/build.sh)
images *args:
    ./dev images {{ args }}

# lay a stack directory out in `dir`, to be copied to the machines
[no-cd]
install dir:
    cargo build --manifest-path "{{ justfile_directory() }}/Cargo.toml" --release --locked --bins
    "{{ justfile_directory() }}/target/release/lab" install "{{ dir }}"

# accept what the generators, error messages and `doctor` now say; `git diff fixtures` shows it
bless:
    BLESS=1 cargo test --locked -p pgstack-compose -p pgstack-haproxy -p pgstack-keepalived -p pgstack-patroni -p pgstack-pgbouncer --test render
    BLESS=1 cargo test --locked -p pgstack-env --test fixtures
    BLESS=1 cargo test --locked -p pgstack-health

# measure how long a cluster takes from nothing; the result belongs into docs/performance.md
bench-deploy *args:
    cargo build --locked --bins
    cargo run --locked -p pgstack-tests --example bench_deploy -- {{ args }}

# play every fault scenario on a lab of its own and write docs/faults.md (--help shows what can be chosen)
faults *args:
    cargo build --locked --bins
    cargo run --locked -p pgstack-tests --example faults -- {{ args }}

# how long clients wait when something dies, under the shell version's times and each profile; hours, can be interrupted (--help)
bench-failover *args:
    cargo build --locked --bins
    cargo run --locked -p pgstack-tests --example bench_failover -- {{ args }}

# what HAProxy and PgBouncer cost on the way to PostgreSQL, by pgbench (--help)
bench-path *args:
    cargo build --locked --bins
    cargo run --locked -p pgstack-tests --example bench_path -- {{ args }}

# random faults under load; what fails is shrunk and told with its seed (--help)
chaos *args:
    cargo build --locked --bins
    cargo run --locked -p pgstack-tests --example chaos -- {{ args }}
