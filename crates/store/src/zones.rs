//! Statements that keep rows in their regions on CockroachDB. Pure: from what a cluster is to what is to be said to it.
//!
//! Rows of principals, sessions and uploads say by `region` where they belong, all others by their tenant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cacheroach_model::{Region, TenantId};

/// What a cluster can do to keep rows in regions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Means {
    /// Each row in the region that a column of it names: a database with regions, by an enterprise licence.
    Rows,
    /// Each partition of a table in its region: an enterprise licence, a database without regions.
    Partitions,
    /// Tables as a whole: no licence.
    Tables,
}

/// A table whose rows belong to regions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What its key begins with, which tells where a row belongs.
    pub by: Key,
    /// Indexes beside the primary one that begin with the same.
    pub indexes: Vec<String>,
    /// Whether it has the column that an earlier run made.
    pub has_home: bool,
}

/// What the key of a table begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// The name of a region.
    Region,
    /// A tenant, which has a region.
    Tenant,
}

/// A cluster and the database in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    /// The name of the database.
    pub database: String,
    /// The best of its means.
    pub means: Means,
    /// Where its nodes are.
    pub nodes: Vec<Region>,
    /// The regions of the database, the primary one first; none: it has none yet.
    pub regions: Vec<Region>,
    /// In the order in which statements are made.
    pub tables: Vec<Table>,
}

/// What is to be done, and what can't be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// One by one, in this order.
    pub statements: Vec<String>,
    /// For people: what these statements do not see to.
    pub notes: Vec<String>,
}

/// The column that names a row's region where the database has regions.
const HOME: &str = "home";

impl Cluster {
    /// The statements that keep rows where they belong, now and when they are run again. What belongs to a region without
    /// nodes is kept in the first region that has some.
    #[must_use]
    pub fn plan(&self, means: Means, tenants: &[(TenantId, Region)]) -> Plan {
        let mut plan = Plan::default();
        let Some(first) = self.regions.first().or(self.nodes.first()) else {
            plan.notes.push("no node says where it is: start them with --locality=region=NAME".into());
            return plan;
        };
        let homes = Homes { first, nodes: &self.nodes, tenants };
        for region in homes.without_nodes() {
            plan.notes.push(format!("no node is in {region}: what belongs there is kept in {first}"));
        }
        match means {
            Means::Rows => self.by_row(&homes, &mut plan),
            Means::Partitions => self.by_partition(&homes, &mut plan),
            Means::Tables => self.by_table(&homes, &mut plan),
        }
        plan
    }

    fn by_row(&self, homes: &Homes<'_>, plan: &mut Plan) {
        let database = quoted(&self.database);
        if self.regions.is_empty() {
            let region = quoted(homes.first.as_str());
            plan.statements.push(format!("ALTER DATABASE {database} PRIMARY REGION {region}"));
        }
        for region in
            self.nodes.iter().filter(|region| *region != homes.first && !self.regions.contains(region))
        {
            plan.statements.push(format!("ALTER DATABASE {database} ADD REGION {}", quoted(region.as_str())));
        }
        for table in &self.tables {
            let (name, home) = (quoted(&table.name), quoted(HOME));
            if table.has_home {
                plan.statements
                    .push(format!("ALTER TABLE {name} SET LOCALITY REGIONAL BY TABLE IN PRIMARY REGION"));
                plan.statements.push(format!("ALTER TABLE {name} DROP COLUMN {home}"));
            }
            let case = homes.case(table.by);
            plan.statements.push(format!(
                "ALTER TABLE {name} ADD COLUMN {home} crdb_internal_region NOT NULL AS ({case}) STORED"
            ));
            plan.statements.push(format!("ALTER TABLE {name} SET LOCALITY REGIONAL BY ROW AS {home}"));
        }
        if self.tables.iter().any(|table| table.by == Key::Tenant) {
            plan.notes.push(format!(
                "tenants that are made or moved later are kept in {} until this is run again",
                homes.first
            ));
        }
    }

    fn by_partition(&self, homes: &Homes<'_>, plan: &mut Plan) {
        for table in &self.tables {
            let name = quoted(&table.name);
            let column = match table.by {
                Key::Region => "region",
                Key::Tenant => "tenant",
            };
            // Where two indexes of a table have partitions of one name, the second run would be refused.
            let indexes = table
                .indexes
                .iter()
                .map(|index| (format!("INDEX {name}@{}", quoted(index)), format!("_{index}")));
            for (part, suffix) in std::iter::once((format!("TABLE {name}"), String::new())).chain(indexes) {
                let (lists, regions) = homes.partitions(table.by, &suffix);
                plan.statements.push(format!("ALTER {part} PARTITION BY LIST ({column}) ({lists})"));
                for (partition, region) in regions {
                    plan.statements.push(format!(
                        "ALTER PARTITION {} OF {part} CONFIGURE ZONE USING constraints = '[+region={region}]'",
                        quoted(&partition)
                    ));
                }
            }
        }
        plan.notes.push(
            "indexes that begin with something else are not kept in regions: they hold ids, names and paths"
                .into(),
        );
        plan.notes.push(format!(
            "tenants that are made or moved later are kept in {} until this is run again",
            homes.first
        ));
    }

    fn by_table(&self, homes: &Homes<'_>, plan: &mut Plan) {
        let used = homes.used();
        for table in &self.tables {
            let name = quoted(&table.name);
            let zone = match &used[..] {
                [only] => format!("constraints = '[+region={only}]'"),
                several => {
                    let each: Vec<_> =
                        several.iter().map(|region| format!("\"+region={region}\": 1")).collect();
                    let replicas = several.len().max(3);
                    let first = homes.first;
                    format!(
                        "num_replicas = {replicas}, constraints = '{{{}}}', lease_preferences = '[[+region={first}]]'",
                        each.join(", ")
                    )
                }
            };
            plan.statements.push(format!("ALTER TABLE {name} CONFIGURE ZONE USING {zone}"));
        }
        if used.len() > 1 {
            plan.notes.push(
                "without an enterprise licence rows of one table can't be kept apart: each region has a copy of all rows. \
                 To keep bytes apart, give each region a chunk tier of its own; to keep rows apart, a database of its own"
                    .into(),
            );
        }
    }
}

/// Who is at home where.
struct Homes<'a> {
    first: &'a Region,
    nodes: &'a [Region],
    tenants: &'a [(TenantId, Region)],
}

impl Homes<'_> {
    /// Where the rows of a region are kept.
    fn of<'r>(&'r self, region: &'r Region) -> &'r Region {
        if self.nodes.contains(region) { region } else { self.first }
    }

    fn without_nodes(&self) -> Vec<&Region> {
        let mut missing: Vec<_> = self
            .tenants
            .iter()
            .map(|(_, region)| region)
            .filter(|region| !self.nodes.contains(region))
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// The regions that rows are kept in, the first one first.
    fn used(&self) -> Vec<&Region> {
        let mut used: Vec<_> = self.tenants.iter().map(|(_, region)| self.of(region)).collect();
        used.sort();
        used.dedup();
        if used.is_empty() { vec![self.first] } else { used }
    }

    /// Tenants by the region that their rows are kept in, those of the first left out: that is where all others are.
    fn tenants_elsewhere(&self) -> BTreeMap<&Region, Vec<String>> {
        let mut elsewhere: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (tenant, region) in self.tenants {
            if self.of(region) != self.first {
                elsewhere.entry(self.of(region)).or_default().push(literal(*tenant));
            }
        }
        elsewhere
    }

    /// An expression for the region of a row.
    fn case(&self, by: Key) -> String {
        let mut whens = String::new();
        match by {
            Key::Region => {
                for region in self.nodes.iter().filter(|region| *region != self.first) {
                    write!(whens, " WHEN region = '{region}' THEN '{region}'").expect("a string takes all");
                }
            }
            Key::Tenant => {
                for (region, tenants) in self.tenants_elsewhere() {
                    let tenants = tenants.join(", ");
                    write!(whens, " WHEN tenant IN ({tenants}) THEN '{region}'").expect("a string takes all");
                }
            }
        }
        let first = self.first;
        if whens.is_empty() {
            // A CASE needs a branch.
            return format!("'{first}'::crdb_internal_region");
        }
        format!("CASE{whens} ELSE '{first}' END")
    }

    /// The partitions of a table or an index, whose names end alike, and where each is kept.
    fn partitions(&self, by: Key, suffix: &str) -> (String, Vec<(String, &Region)>) {
        let mut lists: Vec<(&Region, String)> = match by {
            Key::Region => self
                .nodes
                .iter()
                .filter(|region| *region != self.first)
                .map(|r| (r, format!("'{r}'")))
                .collect(),
            Key::Tenant => self
                .tenants_elsewhere()
                .into_iter()
                .map(|(region, tenants)| (region, tenants.join(", ")))
                .collect(),
        };
        lists.sort();
        let named = |region: &Region| format!("{region}{suffix}");
        let mut text: Vec<_> = lists
            .iter()
            .map(|(region, values)| format!("PARTITION {} VALUES IN ({values})", quoted(&named(region))))
            .collect();
        // No region's name has an underscore.
        let others = format!("all_others{suffix}");
        text.push(format!("PARTITION {} VALUES IN (DEFAULT)", quoted(&others)));
        let mut regions: Vec<_> = lists.iter().map(|(region, _)| (named(region), *region)).collect();
        regions.push((others, self.first));
        (text.join(", "), regions)
    }
}

/// A name, as SQL takes any.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A tenant, as a value of a column of bytes.
fn literal(tenant: TenantId) -> String {
    let digits: String = tenant.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

#[cfg(test)]
#[path = "zones_tests.rs"]
mod tests;
