CREATE TABLE regions (region_id DECIMAL(5,0) NOT NULL, region_name VARCHAR(25), PRIMARY KEY (region_id))
;;
INSERT INTO regions VALUES (1, 'Europe'), (2, 'Americas'), (3, 'Asia'), (4, 'Middle East and Africa'), (10.0, NULL)
;;
CREATE TABLE countries (
  country_id CHAR(2) CHARACTER SET ascii NOT NULL COMMENT 'ISO 3166', country_name VARCHAR(40), region_id DECIMAL(5,0), PRIMARY KEY (country_id),
  CONSTRAINT countr_reg_fk FOREIGN KEY (region_id) REFERENCES regions (region_id)
)
;;
INSERT INTO countries VALUES ('AR', 'Argentina', 2), ('CI', 'Côte d''Ivoire', 4), ('DE', 'Germany', 1), ('JP', '日本', 3), ('ÿ', 'bad code', NULL), ('US', 'United States of America', 2)
;;
CREATE TABLE locations (
  location_id SMALLINT UNSIGNED NOT NULL, street_address VARCHAR(40), postal_code VARCHAR(12), city VARCHAR(30) NOT NULL, state_province VARCHAR(25), country_id CHAR(2) CHARACTER SET ascii,
  PRIMARY KEY (location_id), KEY loc_city_ix (city), KEY loc_state_ix (state_province), CONSTRAINT loc_c_id_fk FOREIGN KEY (country_id) REFERENCES countries (country_id)
)
;;
INSERT INTO locations WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 23)
  SELECT 900 + 100 * i, CONCAT(i, ' Via Cola di Rie'), IF(i MOD 4, LPAD(i, 5, '0'), NULL), ELT(1 + i MOD 3, 'Roma', 'São Paulo', 'München'), NULL, ELT(1 + i MOD 3, 'DE', 'AR', 'US') FROM n
;;
CREATE TABLE jobs (
  job_id VARCHAR(10) NOT NULL, job_title VARCHAR(35) NOT NULL, min_salary DECIMAL(8,2), max_salary DECIMAL(8,2), PRIMARY KEY (job_id), CONSTRAINT job_range CHECK (min_salary <= max_salary)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3
;;
INSERT INTO jobs VALUES ('AD_PRES', 'President', 20080, 40000), ('IT_PROG', 'Programmer', 4000, 10000), ('SA_REP', 'Sales Representative', 6000, 12008), ('ST_CLERK', 'Stock Clerk', NULL, 5000)
;;
CREATE TABLE departments (
  department_id SMALLINT UNSIGNED NOT NULL, department_name VARCHAR(30) NOT NULL, manager_id INT UNSIGNED, location_id SMALLINT UNSIGNED, parent_id SMALLINT UNSIGNED,
  PRIMARY KEY (department_id), UNIQUE KEY dept_name (department_name), CONSTRAINT dept_loc_fk FOREIGN KEY (location_id) REFERENCES locations (location_id),
  CONSTRAINT dept_parent_fk FOREIGN KEY (parent_id) REFERENCES departments (department_id)
)
;;
CREATE TABLE employees (
  employee_id INT UNSIGNED NOT NULL, first_name VARCHAR(20), last_name VARCHAR(25) NOT NULL, email VARCHAR(25) NOT NULL, phone_number VARCHAR(20), birth_date DATE NOT NULL,
  gender ENUM('M','F') NOT NULL, hire_date DATE NOT NULL, job_id VARCHAR(10) CHARACTER SET utf8mb3 NOT NULL, salary DECIMAL(8,2), commission_pct DECIMAL(2,2), manager_id INT UNSIGNED,
  department_id SMALLINT UNSIGNED, full_name VARCHAR(46) AS (CONCAT(IFNULL(CONCAT(first_name, ' '), ''), last_name)) VIRTUAL,
  PRIMARY KEY (employee_id), UNIQUE KEY emp_email_uk (email), KEY emp_name_ix (last_name, first_name), KEY emp_full (full_name), CONSTRAINT emp_salary_min CHECK (salary > 0),
  CONSTRAINT emp_job_fk FOREIGN KEY (job_id) REFERENCES jobs (job_id), CONSTRAINT emp_manager_fk FOREIGN KEY (manager_id) REFERENCES employees (employee_id),
  CONSTRAINT emp_dept_fk FOREIGN KEY (department_id) REFERENCES departments (department_id) ON DELETE SET NULL
)
;;
INSERT INTO departments WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 27) SELECT 10 * i, CONCAT('Department ', i), NULL, 1000 + 100 * (i MOD 20), IF(i > 3, 10 * (i DIV 3), NULL) FROM n
;;
INSERT INTO employees (employee_id, first_name, last_name, email, phone_number, birth_date, gender, hire_date, job_id, salary, commission_pct, manager_id, department_id)
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
  SELECT 10001 + i, IF(i MOD 13, ELT(1 + i MOD 4, 'Georgi', 'Bezalel', 'Parto', 'Çağla'), NULL), CONCAT(ELT(1 + i MOD 3, 'Facello', 'Šimmel', 'de la O'), i), CONCAT('E', i), IF(i MOD 3, CONCAT('011.44.', i), NULL),
    '1952-02-29' + INTERVAL i DAY, IF(i MOD 2, 'M', 'F'), '1985-01-01' + INTERVAL i * 7 DAY, ELT(1 + i MOD 4, 'AD_PRES', 'IT_PROG', 'SA_REP', 'ST_CLERK'), 2000.5 + i, IF(i MOD 4 = 2, 0.15, NULL),
    IF(i, 10001 + i DIV 5, NULL), IF(i MOD 40, 10 * (1 + i MOD 27), NULL) FROM n
;;
UPDATE departments SET manager_id = 10001 + department_id
;;
ALTER TABLE departments ADD CONSTRAINT dept_mgr_fk FOREIGN KEY (manager_id) REFERENCES employees (employee_id)
;;
CREATE TABLE job_history (
  employee_id INT UNSIGNED NOT NULL, start_date DATE NOT NULL, end_date DATE NOT NULL, job_id VARCHAR(10) CHARACTER SET utf8mb3 NOT NULL, department_id SMALLINT UNSIGNED,
  PRIMARY KEY (employee_id, start_date), CONSTRAINT jhist_dates CHECK (end_date > start_date), CONSTRAINT jhist_emp_fk FOREIGN KEY (employee_id) REFERENCES employees (employee_id) ON DELETE CASCADE,
  CONSTRAINT jhist_job_fk FOREIGN KEY (job_id) REFERENCES jobs (job_id), CONSTRAINT jhist_dept_fk FOREIGN KEY (department_id) REFERENCES departments (department_id)
)
;;
INSERT INTO job_history SELECT employee_id, hire_date, hire_date + INTERVAL 400 DAY, 'ST_CLERK', department_id FROM employees WHERE employee_id MOD 3 = 0
;;
CREATE TABLE salaries (
  emp_no INT UNSIGNED NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL DEFAULT '9999-01-01', PRIMARY KEY (emp_no, from_date),
  CONSTRAINT salary_of FOREIGN KEY (emp_no) REFERENCES employees (employee_id) ON DELETE CASCADE
)
;;
INSERT INTO salaries SELECT employee_id, 38000 + employee_id MOD 977 + 1000 * k, hire_date + INTERVAL k YEAR, IF(k = 3, '9999-01-01', hire_date + INTERVAL k + 1 YEAR) FROM employees CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) AS years
;;
CREATE TABLE titles (emp_no INT UNSIGNED NOT NULL, title VARCHAR(50) NOT NULL, from_date DATE NOT NULL, to_date DATE, PRIMARY KEY (emp_no, title, from_date), CONSTRAINT title_of FOREIGN KEY (emp_no) REFERENCES employees (employee_id) ON DELETE CASCADE)
;;
INSERT INTO titles SELECT employee_id, ELT(1 + employee_id MOD 3, 'Senior Engineer', 'Staff', 'Technique Leader'), hire_date, IF(employee_id MOD 5, NULL, '1999-12-31') FROM employees
;;
CREATE TABLE audit_log (at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), who VARCHAR(32), what JSON)
;;
INSERT INTO audit_log VALUES ('2020-01-01 00:00:00.123', 'root', '{"before": {"salary": 1.50}, "after": null}'), ('2020-01-01 00:00:00.123', 'root', '{"before": {"salary": 1.50}, "after": null}'), ('2021-05-05', NULL, NULL)
;;
CREATE PROCEDURE add_job_history(p_emp INT UNSIGNED, p_start DATE, p_end DATE, p_job VARCHAR(10), p_dept SMALLINT UNSIGNED) MODIFIES SQL DATA INSERT INTO job_history VALUES (p_emp, p_start, p_end, p_job, p_dept)
;;
CREATE TRIGGER update_job_history AFTER UPDATE ON employees FOR EACH ROW
BEGIN
  IF OLD.job_id <> NEW.job_id OR NOT OLD.department_id <=> NEW.department_id THEN CALL add_job_history(OLD.employee_id, OLD.hire_date, CURDATE(), OLD.job_id, OLD.department_id); END IF;
END
;;
CREATE TRIGGER audit_salary AFTER UPDATE ON employees FOR EACH ROW FOLLOWS update_job_history INSERT INTO audit_log (who, what) VALUES (LEFT(USER(), 32), JSON_OBJECT('before', OLD.salary, 'after', NEW.salary))
;;
CREATE VIEW dept_emp_latest AS SELECT emp_no, MAX(from_date) AS from_date, MAX(to_date) AS to_date FROM salaries GROUP BY emp_no
;;
CREATE VIEW emp_details_view AS SELECT e.employee_id, e.job_id, e.manager_id, e.full_name, d.department_name, l.city, c.country_name, r.region_name, s.to_date FROM employees AS e JOIN departments AS d ON d.department_id = e.department_id
  JOIN locations AS l ON l.location_id = d.location_id JOIN countries AS c ON c.country_id = l.country_id JOIN regions AS r ON r.region_id = c.region_id LEFT JOIN dept_emp_latest AS s ON s.emp_no = e.employee_id
;;
CREATE VIEW reports_to AS WITH RECURSIVE chain AS (SELECT employee_id, manager_id, 0 AS depth FROM employees WHERE manager_id IS NULL UNION ALL SELECT e.employee_id, e.manager_id, c.depth + 1 FROM employees AS e JOIN chain AS c ON c.employee_id = e.manager_id AND e.employee_id <> e.manager_id) SELECT * FROM chain
;;
CREATE TABLE contractors (id INT PRIMARY KEY)
;;
CREATE VIEW contractor_names AS SELECT id FROM contractors
;;
DROP TABLE contractors
